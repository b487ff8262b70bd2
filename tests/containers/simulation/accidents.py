"""What befalls gateways, containers and the engine, one function for each kind of happening."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.errors import DrawbridgeError
from tests.containers.simulation.box import Box
from tests.containers.simulation.plan import TROUBLES, Happening

if TYPE_CHECKING:
    from tests.containers.simulation.world import Gateway, World

BY_HAND = "hand"


def befall(world: World, happening: Happening) -> None:
    """It happens, now."""
    gateway = world.gateways[happening.gateway]
    name, size, what = happening.name, happening.size, happening.what
    match what:
        case "request" | "brief" | "cancelled" | "siege" | "job" | "sleep":
            _use(world, gateway, happening)
        case "wake":
            _wake(world, happening)
        case "wall":
            world.clock.wall_step += (size - 0.5) * 7200
            world.journal.write("wall", detail=world.clock.wall_step)
        case "gateway dies" | "gateway restarts":
            world.begin(lambda: _restart_gateway(world, happening))
        case "redis away" | "deaf peer":
            _peers(world, happening)
        case "cut" | "hang" | "engine restart" | "live restore":
            _engine(world, what, 25 * size * size)
        case _:
            box = world.box(name)
            if box is not None:
                _TO_A_BOX[what](world, box, size)


def _use(world: World, gateway: Gateway, happening: Happening) -> None:
    users, name, size = world.users, happening.name, happening.size
    match happening.what:
        case "request":
            users.request(gateway, name, 1.0 + 20 * size, hold=20 * size * size)
        case "brief":
            users.request(gateway, name, 15.0, hold=0.0)
        case "cancelled":
            caller = users.request(gateway, name, 15.0, hold=15.0)
            world.clock.call_later(size * size * 5, caller.cancel)
        case "siege":
            users.siege(gateway, name, 12 * size)
        case "job":
            users.job(gateway, name, 40 * size)
        case "sleep":
            users.sleep(gateway, name)


def _wake(world: World, happening: Happening) -> None:
    fleet = world.gateways[happening.gateway].fleet
    if fleet is None:
        return
    try:
        fleet.wake(happening.name, "operator")
    except DrawbridgeError:
        return
    world.journal.write("wants wake", happening.name, world.gateways[happening.gateway].name)


async def _restart_gateway(world: World, happening: Happening) -> None:
    gateway, politely = world.gateways[happening.gateway], happening.what == "gateway restarts"
    await gateway.die(politely=politely)
    await asyncio.sleep((2 if politely else 8) * happening.size * happening.size)
    if gateway.fleet is None:
        await gateway.start()


def _peers(world: World, happening: Happening) -> None:
    redis, seconds = world.redis, 15 * happening.size
    world.journal.write(happening.what, detail=seconds)
    if happening.what == "redis away":
        redis.away = True
        world.clock.call_later(seconds, lambda: setattr(redis, "away", False))
        return
    gateway = world.gateways[happening.gateway]
    if world.plan.gateways > 1 and gateway.fleet is not None:
        fleet, peer = gateway.fleet, gateway.peer
        redis.voters[peer] = None

        def hears_again() -> None:
            if gateway.fleet is fleet:
                redis.join(peer, fleet)

        world.clock.call_later(seconds, hears_again)


def _engine(world: World, what: str, seconds: float) -> None:
    engine = world.engine
    world.journal.write(what, detail=seconds)
    if what == "hang":
        engine.hangs = True
        world.clock.call_later(seconds, lambda: setattr(engine, "hangs", False))
        return
    if what == "cut":
        engine.cut()
    else:
        engine.restart(live_restore=what == "live restore")
    world.clock.call_later(seconds, lambda: setattr(engine, "away", False))


def _start(world: World, box: Box, _: float) -> None:
    if not box.is_up and not box.starting and not box.removed:
        world.engine.start(box, BY_HAND, _nobody_cares)


def _stop(world: World, box: Box, _: float) -> None:
    world.engine.stop(box, BY_HAND, _nobody_cares)


def _kill(world: World, box: Box, _: float) -> None:
    if box.is_up:
        world.engine.signal(box, BY_HAND, "9")


def _hup(world: World, box: Box, _: float) -> None:
    world.engine.hang_up(box, BY_HAND)


def _crash(world: World, box: Box, _: float) -> None:
    world.engine.end(box, BY_HAND, 1)


def _oom(world: World, box: Box, _: float) -> None:
    world.engine.end(box, BY_HAND, 137, oom=True)


def _pause(world: World, box: Box, _: float) -> None:
    if box.status == "running" and not box.dying:
        world.engine.pause(box, BY_HAND)


def _unpause(world: World, box: Box, _: float) -> None:
    if box.status == "paused":
        world.engine.unpause(box, BY_HAND)


def _restart(world: World, box: Box, _: float) -> None:
    world.engine.stop(box, BY_HAND, lambda _: _start(world, box, 0.0))


def _remove(world: World, box: Box, size: float) -> None:
    engine, name = world.engine, box.name
    engine.remove(box, BY_HAND)

    def put_back() -> None:
        if world.box(name) is None:
            engine.create(name, box)

    world.clock.call_later(10 * size, put_back)


def _recreate(world: World, box: Box, _: float) -> None:
    """As compose does: create under another name, stop and remove the old one, rename, start."""
    engine, name = world.engine, box.name
    new = engine.create(f"{name}_new", box)

    def replace_it(_: object) -> None:
        if not box.removed and not new.removed:
            engine.remove(box, BY_HAND)
            engine.rename(new, name)
            _start(world, new, 0.0)

    engine.stop(box, BY_HAND, replace_it)


def _trouble(world: World, box: Box, size: float) -> None:
    box.manners.trouble = TROUBLES[int(size * len(TROUBLES))]
    world.journal.write("trouble", box.name, detail=box.manners.trouble)


def _slow(world: World, box: Box, size: float) -> None:
    box.manners.ready_in = 12 * size
    box.manners.ends_in = 12 * size


def _heal(world: World, box: Box, _: float) -> None:
    box.manners.trouble = ""
    world.journal.write("healed", box.name)


def _flap(world: World, box: Box, size: float) -> None:
    world.engine.flap(box, "unhealthy")
    world.clock.call_later(2 * size, world.engine.flap, box, "healthy")


def _nobody_cares(answer: object) -> None:
    """By hand, nobody waits for the answer."""


def _busy(world: World, box: Box, size: float) -> None:
    world.engine.busy(box, 60 * size)


_TO_A_BOX: dict[str, Callable[[World, Box, float], None]] = {
    "start": _start,
    "stop": _stop,
    "kill": _kill,
    "hup": _hup,
    "crash": _crash,
    "oom": _oom,
    "pause": _pause,
    "unpause": _unpause,
    "restart": _restart,
    "remove": _remove,
    "recreate": _recreate,
    "trouble": _trouble,
    "slow": _slow,
    "heal": _heal,
    "flap": _flap,
    "busy": _busy,
}
