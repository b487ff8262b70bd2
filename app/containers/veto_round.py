"""Asks the vetoes of containers that would otherwise sleep now, each with its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from app.containers.engine import Engine
from app.containers.http_status import http_status
from app.containers.member import Member
from app.containers.observed import EngineError, Inspected
from app.containers.veto import (
    Answer,
    History,
    Kind,
    Objection,
    Sample,
    Vetoes,
    VetoUrl,
    Weighed,
    answer_from,
    answers_from,
    unasked,
    weigh,
)

log = structlog.get_logger(__name__)

LOOKS_APART = 1.0
CLOCK_WAS_SET = 5.0
"""So many seconds more or less on the engine's clock than on ours: its figures say nothing."""
LOOKS_AT_ONCE, URLS_AT_ONCE = 4, 32
"""Looks share the engine's threads with starts, which must not wait for them."""


@dataclass(slots=True)
class _Spell:
    """One stretch of time in which a container was not used; another use begins another one."""

    key: tuple[str | None, float]
    history: History = field(default_factory=History)
    objection: Objection | None = None
    sample: Sample | None = None
    sampled_at: float = 0.0


@dataclass(slots=True)
class _Record:
    spell: _Spell | None = None
    given_up: dict[Kind, Answer] = field(default_factory=dict)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class VetoRound:
    """What the vetoes of each container said last, and how to ask them again.

    One look at the engine's figures, or one answer of a URL, may take ``deadline`` seconds.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float],
        deadline: float,
        looks_apart: float = LOOKS_APART,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._deadline = deadline
        self._looks_apart = looks_apart
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._urls = asyncio.Semaphore(URLS_AT_ONCE)
        self._records: dict[str, _Record] = {}

    def objection(self, member: Member) -> Objection | None:
        """What they had to say since it was last used."""
        record = self._records.get(member.name)
        spell = None if record is None or not member.spec.vetoes else record.spell
        return spell.objection if spell is not None and spell.key == _key(member) else None

    def doubts(self, member: Member) -> tuple[str, ...]:
        """The vetoes that do not count, because they could not be asked for too long."""
        record = self._records.get(member.name)
        answers = {} if record is None else record.given_up
        return tuple(
            f"{kind} cannot be asked, and does not count: {answer.detail}"
            for kind, answer in answers.items()
        )

    async def ask(self, member: Member, idle_timeout: float) -> Objection | None:
        """Ask them all at once; at most a few seconds. ``None``: nothing speaks against sleep."""
        if not member.spec.vetoes:
            self._records.pop(member.name, None)
            return None
        record = self._records.setdefault(member.name, _Record())
        async with record.asking:
            key = _key(member)
            if record.spell is None or record.spell.key != key:
                record.spell = _Spell(key)
            spell = record.spell
            sampled, url = await asyncio.gather(self._sampled(member, spell), self._url(member))
            answers = [*sampled, *url]
            now = self._clock()
            weighed = weigh(spell.history, answers, now, idle_timeout=idle_timeout)
            spell.history, spell.objection = weighed.history, weighed.objection
            _tell(member, record, answers, weighed)
            return spell.objection

    async def _sampled(self, member: Member, spell: _Spell) -> list[Answer]:
        """CPU and network: against the last look if there was one, else by looking twice."""
        vetoes = member.spec.vetoes
        if not vetoes.sampled:
            return []
        try:
            before, looked_at = spell.sample, spell.sampled_at
            after, now = await self._look(member), self._clock()
            found = None if before is None else _compared(vetoes, before, after, now - looked_at)
            if found is None:
                before, looked_at = after, now
                await asyncio.sleep(self._looks_apart)
                after, now = await self._look(member), self._clock()
                found = _compared(vetoes, before, after, now - looked_at)
        except EngineError as error:
            spell.sample = None
            return unasked(vetoes, str(error))
        spell.sample, spell.sampled_at = after, now
        return unasked(vetoes, "the engine counts too rarely") if found is None else found

    async def _look(self, member: Member) -> Sample:
        async with self._looks:
            return await self._engine.stats(member.container_id, self._deadline)

    async def _url(self, member: Member) -> list[Answer]:
        url = member.spec.vetoes.url
        if url is None:
            return []
        async with self._urls:
            try:
                async with asyncio.timeout(self._deadline):
                    return [answer_from(await self._status(member, url))]
            except TimeoutError:
                why = f"no answer within {self._deadline:g} s"
            except (EngineError, OSError, ValueError) as error:
                why = str(error) or type(error).__name__
        return [Answer(Kind.URL, None, why)]

    async def _status(self, member: Member, url: VetoUrl) -> int:
        if url.host is not None:
            return await _get(url, url.host, url.port)
        details = await self._engine.inspect(member.container_id)
        port = url.port or member.spec.ready.port or _own_port(details)
        if not details.addresses or not port:
            raise ValueError("it has no address or no exposed port of its own; write the whole URL")
        return await _get(url, details.addresses[0], port)


async def _get(url: VetoUrl, host: str, port: int) -> int:
    name = f"[{host}]" if ":" in host else host
    request = (
        f"GET {url.path} HTTP/1.1\r\nHost: {name}:{port}\r\n"
        "User-Agent: drawbridge\r\nConnection: close\r\n\r\n"
    )
    return await http_status(host, port, request.encode(), tls=url.tls)


def _compared(vetoes: Vetoes, before: Sample, after: Sample, seconds: float) -> list[Answer] | None:
    """As ``answers_from``; ``seconds`` passed by our clock. Theirs may have been set meanwhile."""
    if abs(after.at - before.at - seconds) > CLOCK_WAS_SET:
        return None
    return answers_from(vetoes, before, after)


def _own_port(details: Inspected) -> int:
    return details.ports[0] if details.ports else 0


def _key(member: Member) -> tuple[str | None, float]:
    return member.life.run, member.used_at


def _tell(member: Member, record: _Record, answers: list[Answer], weighed: Weighed) -> None:
    """Log what changed: a veto that is given up, and one that answers again."""
    for answer in weighed.given_up:
        if answer.kind not in record.given_up:
            log.warning(
                "container_veto_given_up", name=member.name, veto=answer.kind, why=answer.detail
            )
        record.given_up[answer.kind] = answer
    for answer in answers:
        if answer.holds is not None and record.given_up.pop(answer.kind, None) is not None:
            log.info("container_veto_answers_again", name=member.name, veto=answer.kind)
