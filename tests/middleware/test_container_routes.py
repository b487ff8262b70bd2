"""Which requests a container is given, and what happens while it is not there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from app.containers.addresses import Address
from app.containers.lifecycle import Life, State
from app.containers.member import Lease, Member
from app.containers.spec import Spec
from app.errors import ContainerFailed, ContainerSlow
from app.middleware.container_routes import GLANCE, ContainerRoutes, wants_page
from app.proxy.forward import Forwarder
from app.serving import beside, bind
from tests.middleware.asgi import call, echo, http_scope

BROWSER = [(b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")]


@dataclass
class Village:
    """One container, ``board``, at the addresses that are named one after the other."""

    ports: list[int]
    broken: Exception | None = None
    waits: list[float] = field(default_factory=list)
    asked_anew: int = 0
    member: Member = field(
        default_factory=lambda: Member(Spec("board", "b"), "id", "i", Life(State.AWAKE, since=0.0))
    )

    def server_of(self, path: str) -> str | None:
        return "board" if path == "/board" or path.startswith("/board/") else None

    def lease(self, name: str) -> Lease:
        return Lease(self.member, lambda _: None, time.monotonic)

    async def ready(self, name: str, within: float, cause: str) -> None:
        self.waits.append(within)
        if self.broken is not None:
            raise self.broken

    async def address(self, name: str, *, anew: bool = False) -> Address:
        self.asked_anew += anew
        if anew and len(self.ports) > 1:
            self.ports.pop(0)
        return Address("127.0.0.1", self.ports[0])


@pytest.fixture
async def board() -> AsyncIterator[int]:
    """The port of a server that says which path it was asked."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"board {scope['path']}")(scope, receive, send)

    listening = bind("127.0.0.1", 0)
    async with beside(listening, app):
        yield listening.getsockname()[1]


def closed_port() -> int:
    listening = bind("127.0.0.1", 0)
    port = int(listening.getsockname()[1])
    listening.close()
    return port


async def ask(village: Village, path: str, **scope: object) -> tuple[int, bytes]:
    async with Forwarder(silence=5.0) as forwarder:
        layer = ContainerRoutes(
            echo, village, forwarder, reserved={"health"}, within=20.0, silent_after=5.0
        )
        heard = await call(layer, http_scope(path, scheme="http", **scope), [b""])
    return heard.status, heard.body


async def test_its_paths_are_its_own_and_no_others(board: int) -> None:
    village = Village([board])
    assert await ask(village, "/board/a") == (200, b"board /board/a")
    assert await ask(village, "/board/") == (200, b"board /board/")
    assert await ask(village, "/other") == (200, b"")
    assert village.waits == [20.0, 20.0]
    assert village.member.leases == 0


async def test_paths_of_the_gateway_are_not_given_away(board: int) -> None:
    village = Village([board])
    village.server_of = lambda path: "board"  # type: ignore[method-assign]
    assert await ask(village, "/health/live") == (200, b"")


async def test_a_browser_is_shown_a_page_and_a_client_the_error() -> None:
    slow = ContainerSlow("board", "not yet", retry_after=5.0)
    village = Village([1], broken=slow)
    status, body = await ask(village, "/board", headers=BROWSER)
    assert status == 503
    assert b"Waking board" in body
    with pytest.raises(ContainerSlow):
        await ask(village, "/board")
    assert village.waits == [GLANCE, 20.0]
    assert village.member.leases == 0


@pytest.mark.parametrize(
    ("scope", "page"),
    [
        ({"headers": BROWSER}, True),
        ({"headers": BROWSER, "method": "POST"}, False),
        ({"headers": [(b"accept", b"*/*")]}, False),
        ({"headers": []}, False),
        ({"headers": BROWSER, "type": "websocket"}, False),
    ],
)
def test_who_wants_a_page(scope: dict[str, object], page: bool) -> None:
    assert wants_page(http_scope("/board", **scope)) is page


async def test_a_container_that_moved_is_found_again(board: int) -> None:
    village = Village([closed_port(), board])
    assert await ask(village, "/board") == (200, b"board /board")
    assert village.asked_anew == 1


async def test_one_that_does_not_answer_at_all_is_told() -> None:
    village = Village([closed_port()])
    with pytest.raises(ContainerFailed, match="board does not answer at port"):
        await ask(village, "/board")


async def test_what_has_a_body_is_not_sent_twice(board: int) -> None:
    village = Village([closed_port(), board])
    with pytest.raises(ContainerFailed):
        await ask(village, "/board", method="POST", headers=[(b"content-length", b"1")])


@pytest.mark.parametrize("extended", [True, False])
async def test_a_websocket_is_turned_away_while_nobody_is_there(extended: bool) -> None:
    village = Village([1], broken=ContainerFailed("board", "no"))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {
        "type": "websocket",
        "path": "/board/live",
        "headers": [],
        "extensions": {"websocket.http.response": {}} if extended else {},
    }
    async with Forwarder(silence=5.0) as forwarder:
        layer = ContainerRoutes(
            echo, village, forwarder, reserved=(), within=20.0, silent_after=5.0
        )
        await layer(scope, receive, send)
    if extended:
        assert sent[0]["status"] == 503
    else:
        assert sent == [{"type": "websocket.close", "code": 1013}]
