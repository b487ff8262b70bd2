"""``python -m app`` is ``drawbridge``."""

from app.cli import main

if __name__ == "__main__":
    main()
