"""Measurements of what a user would feel, beside peers that were measured in the same minutes.

One file for each question (``hits``, ``misses``, ``memory``, ``store``), each with a function
``run(tiny)`` that returns a ``Result``. Everything measured is a real process on loopback, servers
on one core and what asks them on another. Ratios mean something, figures alone do not.
"""
