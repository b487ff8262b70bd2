"""The demonstration: a gateway on a sandbox kingdom, in one process, leaving nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

from app.config import NO_AUTOMATION, load_settings
from app.main import run_gateway
from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind

_PLAYERS = 2_000
_TRY = (
    ("three of the game's items", "/items?numToFetch=3"),
    ("the three heroes with the most experience",
     "/players?orderBy=totalXP&orderDirection=desc&numToFetch=3&simplified=true"),
    ("the same hero twice: watch cache-status and age", "/players/200001"),
    ("a clan", "/clans?numToFetch=1"),
    ("the cheapest open orders", "/orders?side=sell&orderBy=price&numToFetch=3"),
)  # fmt: skip


async def run_demo(host: str, port: int, say: Callable[[str], None]) -> bool:
    """Run until a signal comes; ``say`` is told what to try. Whether it ever was ready.

    Containers are left alone: a demonstration must not stop what somebody else runs.
    """
    listening, upstream = bind(host, port), bind("127.0.0.1", 0)
    sandbox = create_sandbox(SandboxOptions(players=_PLAYERS))
    with tempfile.TemporaryDirectory(prefix="drawbridge-demo-") as folder:
        settings = load_settings(
            estfor_api_url=address(upstream),
            data_dir=folder,
            mongodb_uri=None,
            access_log=False,
            # The kingdom is ours, and need not be spared.
            sync_pace=0.0,
            **NO_AUTOMATION,
        )
        async with beside(upstream, sandbox):
            return await run_gateway(
                settings, listening, lambda: say(_invitation(address(listening)))
            )


def _invitation(base: str) -> str:
    lines = [f"A kingdom of {_PLAYERS} heroes is open at {base}", "", "Five things to try:"]
    lines += [f"  curl -si '{base}{path}'   # {what}" for what, path in _TRY]
    lines += ["", f"All paths: {base}/docs   How it is: {base}/health   Ctrl-C ends it."]
    return "\n".join(lines)
