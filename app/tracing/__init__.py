"""Spans of what a request comes to, sent by OTLP to a collector. Only if somebody asks for them.

``opening`` loads the rest where tracing is configured; elsewhere it is never imported. No other
room knows of it: the composition root puts wrappers around the parts (``parts``, ``layer``), or
leaves them as they are.
"""
