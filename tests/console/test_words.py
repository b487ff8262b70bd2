"""What the page says, as tables: the module is asked in a real browser."""
# ruff: noqa: E501, RUF001 - one case a line; a dash is a dash

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.gateways import Told, gateway_on, upstream_of
from tests.real.browser import browser

__all__ = ["browser"]
pytestmark = [pytest.mark.real("chromium"), pytest.mark.timeout(120)]

CALL = "async ([name, ...given]) => (await import('/console/words.js'))[name](...given)"
AWAKE = {
    "state": "awake",
    "since": 10,
    "error": None,
    "keeper": "used not long ago",
    "keeps_awake": "active 4 s ago",
    "idle_seconds": 4,
    "sleeps_in": 596,
}
UPSTREAM = {"url": "https://api.estfor.com", "ok": True, "failing_operations": []}
TOTAL = {"last_error": "it answered 503", "next_try_in": 12.3}
JOB: dict[str, Any] = {"error": None, "held": {}, "failures": 0, "last_good": None, "rows": 1234}

SAID: list[tuple[list[Any], Any]] = [
    (["span", -3], "0 s"),
    (["span", 99.4], "99 s"),
    (["span", 99.6], "2 min"),
    (["span", 5_400], "90 min"),
    (["span", 6_000], "2 h"),
    (["span", 172_700], "48 h"),
    (["span", 432_000], "5 days"),
    (["byteHours", 0], "Nothing yet"),
    (["byteHours", 3_600 * 12.5e9], "12.5 GB h"),
    (["byteHours", 3_600 * 250_000_000], "250 MB h"),
    (["byteHours", 3_600 * 1e9 * 43_210], "43,210 GB h"),
    (["byteHours", 3_600 * 5_000], "< 1 MB h"),
    (["share", 0, 0], "–"),
    (["share", 1, 3], "33.3 %"),
    (["share", 99_999, 100_000], "99.9 %"),
    (["share", 5, 5], "100 %"),
    (["stateWords", AWAKE, 5], "Awake for 15 s"),
    (["whyWords", AWAKE, 6], "Kept up: used 10 s ago; sleeps in 10 min."),
    (["whyWords", {**AWAKE, "keeper": "in use", "keeps_awake": "in use by 2", "sleeps_in": None}, 0],
     "Kept up: in use by 2."),
    (["whyWords", {**AWAKE, "keeper": None, "keeps_awake": None, "sleeps_in": 0}, 3], "Sleeps in 0 s."),
    (["whyWords", {**AWAKE, "state": "asleep"}, 0], ""),
    (["whyWords", {**AWAKE, "state": "failed", "error": "exited with code 3"}, 0], "exited with code 3"),
    (["doable", {"state": "asleep"}], {"wake": True, "sleep": False}),
    (["doable", {"state": "failed"}], {"wake": True, "sleep": False}),
    (["doable", {"state": "awake"}], {"wake": False, "sleep": True}),
    (["doable", {"state": "waking"}], {"wake": False, "sleep": False}),
    (["doable", {"state": "missing"}], {"wake": False, "sleep": False}),
    (["hitWords", {}], ["–", "Nothing was asked yet"]),
    (["hitWords", {"hit": 700, "stale": 200, "miss": 100}],
     ["90 %", "of 1,000 answers since the gateway began"]),
    (["hitWords", {"stale-error": 3}],
     ["100 %", "of 3 answers since the gateway began; 3 because the upstream failed"]),
    (["upstreamWords", UPSTREAM], ["Answering", "api.estfor.com"]),
    (["upstreamWords", {**UPSTREAM, "failing_operations": ["pets"]}],
     ["Failing in part", "api.estfor.com: pets fail"]),
    (["upstreamWords", {**UPSTREAM, **TOTAL, "ok": False}],
     ["Failing", "it answered 503; tried again in 12 s"]),
    (["jobWords", JOB, 0], "never yet"),
    (["jobWords", {**JOB, "last_good": "1970-01-01T00:00:10+00:00"}, 70_000], "60 s old, 1,234 rows"),
    (["jobWords", {**JOB, "rows": 1, "last_good": "1970-01-01T00:00:00+00:00"}, 0], "0 s old, 1 row"),
    (["jobWords", {**JOB, "error": "502", "failures": 2}, 0], "failed 2 times: 502"),
    (["jobWords", {**JOB, "held": {"items": "half of them are gone"}}, 0], "held: half of them are gone"),
]  # fmt: skip


async def test_the_words(tmp_path: Path, browser: Browser) -> None:
    async with upstream_of(Told()) as url, gateway_on(url, tmp_path) as gateway:
        page = await browser.new_page()
        await page.goto(f"{gateway.base_url}/console/icon.svg")
        said = [await page.evaluate(CALL, question) for question, _ in SAID]
        await page.close()
    # A figure and its unit are kept together.
    plain = json.loads(json.dumps(said).replace("\\u00a0", " "))
    assert plain == [answer for _, answer in SAID]
