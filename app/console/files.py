"""The files of the operators' page, as they go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

PAGE = "console.html"
_TYPES = {
    PAGE: "text/html; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "words.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_NEEDS_KEY = b"{{needs_key}}"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file: its bytes, what they are, and a tag that differs when they do."""

    name: str
    media_type: str
    body: bytes

    @property
    def etag(self) -> str:
        """A strong entity tag, in its quotes."""
        return f'"{sha256(self.body).hexdigest()[:32]}"'


def page_files(*, needs_key: bool) -> Mapping[str, PageFile]:
    """All files by name, read now. ``needs_key``: the page asks for a key before anything else.

    Otherwise it would have to be refused first to find out, which browsers tell as an error.
    """
    folder = Path(__file__).parent
    files = {
        name: PageFile(name, kind, (folder / name).read_bytes()) for name, kind in _TYPES.items()
    }
    skeleton = files[PAGE].body
    body = skeleton.replace(_NEEDS_KEY, b"yes" if needs_key else b"no")
    return {**files, PAGE: PageFile(PAGE, _TYPES[PAGE], body)}
