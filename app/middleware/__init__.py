"""Layers around the application, each pure ASGI and one concern: no base class, no magic."""
