"""Drawbridge: an on-demand gateway to the data of EstFor Kingdom.

It serves every path of the game's public API at the same path, byte for byte, from what it
remembers (``cache``: memory in front of SQLite or MongoDB) or from the API itself (``upstream``).
The containers it needs for that (``containers``) are started by the first request that needs
them and stopped when nobody has used them for a while. ``kingdom`` knows what EstFor is,
``sandbox`` is a whole kingdom offline, ``runtime`` puts the parts together, ``main`` is the
HTTP entry and ``cli`` the command line.
"""

__version__ = "0.1.0"
