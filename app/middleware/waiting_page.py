"""The page that a browser is shown while a container wakes. It goes on by itself."""

from __future__ import annotations

import math
from base64 import b64encode
from hashlib import sha256
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse

from app.errors import ContainerError, ContainerFailed

STANDING = "drawbridge-container"
"""The header field of a refusal that says how the container is: ``waking`` or ``failed``."""

_STYLE = """
:root {
  color-scheme: light dark;
  --back: #f4f1ea; --ink: #24211c; --soft: #6b655a; --mark: #a8641c;
}
@media (prefers-color-scheme: dark) {
  :root { --back: #191713; --ink: #ece6da; --soft: #a39b8b; --mark: #e0a458; }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem;
  background: var(--back); color: var(--ink); font: 1.05rem/1.55 system-ui, sans-serif;
}
main { max-width: 34rem; width: 100%; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.4rem 0 .6rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; color: var(--soft); overflow-wrap: anywhere; }
svg { width: 5.5rem; height: 4rem; color: var(--mark); }
.deck { transform-origin: 14px 46px; animation: lower 2.4s ease-in-out infinite alternate; }
@keyframes lower { from { transform: rotate(-58deg); } to { transform: rotate(0deg); } }
@media (prefers-reduced-motion: reduce) { .deck { animation: none; } }
.failed .deck { animation: none; transform: rotate(-58deg); }
a { color: var(--mark); }
"""
_SCRIPT = """
const page = document.body, words = document.getElementById("words");
const began = Date.now(), health = page.dataset.health;
const said = { waking: "It is starting.", asleep: "It is being woken." };
const html = { accept: "text/html" };
async function standing() {
  if (health) return (await (await fetch(health, { cache: "no-store" })).json()).status;
  const how = { method: "HEAD", cache: "no-store", redirect: "manual", headers: html };
  return (await fetch(location.href, how)).headers.get("STANDING") || "ok";
}
async function look() {
  try {
    const status = await standing();
    const failed = status === "failed";
    if (status === "ok" || (failed && page.className !== "failed")) return location.reload();
    if (failed) return setTimeout(() => location.reload(), 10000);
    const seconds = Math.round((Date.now() - began) / 1000);
    words.textContent = (said[status] || "") + " " + seconds + " s";
  } catch (error) {
    words.textContent = "The gateway does not answer; trying again.";
  }
  setTimeout(look, 500);
}
look();
""".replace("STANDING", STANDING)


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(_STYLE)}",
        f"script-src {_source(_SCRIPT)}",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""The page's ``Content-Security-Policy``: its own two pieces, and asking how far it is."""


def waiting_response(error: ContainerError, *, elsewhere: bool = False) -> HTMLResponse:
    """The page as a refusal: 503, because of ``error``.

    ``elsewhere``: it is shown at an address where the gateway's own paths cannot be asked. It
    then asks its own address, until the answer has no ``STANDING``.
    """
    failed = isinstance(error, ContainerFailed)
    headers = {
        "cache-control": "no-store",
        "content-security-policy": POLICY,
        "referrer-policy": "no-referrer",
        "retry-after": str(math.ceil(error.retry_after or 1.0)),
        "x-content-type-options": "nosniff",
        STANDING: "failed" if failed else "waking",
    }
    page = waiting_page(error.name, failed=failed, detail=error.detail, elsewhere=elsewhere)
    return HTMLResponse(page, 503, headers)


def waiting_page(name: str, *, failed: bool, detail: str, elsewhere: bool = False) -> str:
    """The page for the container ``name``, which wakes, or ``failed`` to for the reason
    ``detail``. Without scripts it is loaded again every few seconds."""
    health = "" if elsewhere else f"/health/containers/{quote(name, safe='')}"
    title = f"{name} did not start" if failed else f"Waking {name}"
    words = detail if failed else "It sleeps while nobody uses it. This page goes on by itself."
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<noscript><meta http-equiv="refresh" content="{10 if failed else 3}"></noscript>
<style>{_STYLE}</style>
</head>
<body class="{"failed" if failed else "waking"}" data-health="{escape(health)}">
<main>
<svg viewBox="0 0 88 64" fill="none" stroke="currentColor" stroke-width="4" aria-hidden="true">
<path d="M4 60V14h8v6h4v-6h8v46M64 60V14h8v6h4v-6h8v46M2 60h84"/>
<path class="deck" d="M14 46h60"/>
</svg>
<h1>{escape(title)}</h1>
<p id="words" role="status" aria-live="polite">{escape(words)}</p>
<p><a href="">Try again now</a></p>
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""
