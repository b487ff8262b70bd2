"""Breaking it on purpose: real processes under a constant load, one fault after the other.

``python -m tests.chaos`` runs the long form, plain pytest the short one.
"""
