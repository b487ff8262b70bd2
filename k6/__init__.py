"""Load tests: scripts for k6, and what starts a gateway for them. See ``python -m k6 --help``."""
