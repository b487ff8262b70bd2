"""``python -m benchmarks.server PEER BYTES``: one peer as a process, until SIGTERM.

It runs on the same uvicorn with the same options as the gateway.
"""

from __future__ import annotations

import sys

import uvloop

from app.serving import address, bind, serve
from benchmarks.peers import PEERS


async def main(name: str, size: int) -> None:
    """Serve the peer ``name`` on a free port, which is printed."""
    listening = bind("127.0.0.1", 0)

    def announce() -> None:
        print(f"{name} is ready at {address(listening)}", flush=True)

    await serve(listening, PEERS[name](size), announce)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
