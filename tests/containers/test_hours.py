"""Hours by the clock on the wall, also on the days on which it is changed."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.hours import Hours, Window, is_within, local_time, next_change, parse_hours

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def at(day: str, time: str) -> datetime:
    hour, minute = map(int, time.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day), hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("label", "within", "outside"),
    [
        (
            "08:00-18:00 Mon-Fri",
            ["Mon 08:00", "Fri 17:59", "Wed 12:00"],
            ["Mon 07:59", "Mon 18:00", "Sat 12:00", "Sun 12:00"],
        ),
        ("08:00-18:00", ["Sun 08:00", "Wed 17:59"], ["Sun 18:00", "Wed 00:00"]),
        (
            "22:00-06:00 Fri",
            ["Fri 22:00", "Fri 23:59", "Sat 00:00", "Sat 05:59"],
            ["Fri 05:00", "Sat 06:00", "Sat 22:00", "Fri 21:59"],
        ),
        ("22:00-06:00 Sun", ["Sun 23:00", "Mon 05:59"], ["Mon 06:00", "Sun 05:00"]),
        ("08:00-09:00 Mon,Wed,Sat-Sun", ["Mon 08:30", "Wed 08:30", "Sun 08:30"], ["Tue 08:30"]),
        (
            "08:00-12:00 Mon-Tue, 13:00-17:00 Mon, 20:00-21:00 sat",
            ["Tue 09:00", "Mon 13:00", "Sat 20:59"],
            ["Tue 13:00", "Mon 12:00", "Sat 09:00"],
        ),
        ("08:00-18:00 Sat-Mon", ["Sat 08:00", "Sun 08:00", "Mon 08:00"], ["Tue 08:00"]),
        ("00:00-24:00 Tue", ["Tue 00:00", "Tue 23:59"], ["Mon 23:59", "Wed 00:00"]),
        ("18:00-24:00 Tue", ["Tue 18:00", "Tue 23:59"], ["Tue 17:59", "Wed 00:00"]),
    ],
)
def test_what_a_label_means(label: str, within: list[str], outside: list[str]) -> None:
    hours = parse_hours(label)
    for moment in within + outside:
        assert is_within(hours, at(*moment.split())) is (moment in within), moment


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("", "must be hours and days, as in 08:00-18:00 Mon-Fri"),
        ("always", "must be hours and days"),
        ("8:00-18:00", "must be hours and days"),
        ("08:00-25:00", "must be hours and days"),
        ("08:60-09:00", "must be hours and days"),
        ("24:00-08:00", "must be hours and days"),
        ("08:00-18:00,", "must be hours and days"),
        ("Mon, 08:00-18:00", "must be hours and days"),
        ("08:00-18:00, Mon", "must be hours and days"),
        ("08:00-18:00 Mon Tue", "must be hours and days"),
        ("08:00-08:00", "must not end when it begins"),
        ("08:00-18:00 Mo-Fr", "is no day; days are Mon, Tue"),
        ("08:00-18:00 Mon-", "is no day"),
        ("08:00-18:00 Mon Europe/Nowhere", "is no time zone"),
        ("08:00-18:00 ../../etc/passwd", "is no time zone"),
        ("08:00-18:00 Europe/", "is no time zone"),
    ],
)
def test_what_is_no_label_is_refused_with_what_is_allowed(label: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_hours(label)


def test_a_zone_counts_for_all_windows() -> None:
    hours = parse_hours("08:00-12:00, 13:00-17:00 Mon-Fri America/New_York")
    assert hours.zone == "America/New_York"
    noon_in_london = datetime(2026, 11, 23, 12, 30, tzinfo=UTC).timestamp()
    assert not is_within(hours, local_time(hours, noon_in_london))
    assert is_within(hours, local_time(hours, noon_in_london + 3600))


def test_without_a_zone_the_hosts_clock_counts() -> None:
    hours = parse_hours("08:00-18:00")
    for wall in (0.0, 1_780_000_000.5):
        assert local_time(hours, wall).timestamp() == wall
        assert (
            local_time(hours, wall).utcoffset()
            == datetime.fromtimestamp(wall).astimezone().utcoffset()
        )


BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("label", "midnight", "changes_after_hours"),
    [
        # 02:00 is 03:00: a window over the gap is an hour shorter, one that begins in it begins
        # with it, one inside it does not take place.
        ("01:00-04:00 Sun", SPRING, [1, 3]),
        ("02:30-05:00 Sun", SPRING, [2, 4]),
        ("02:15-02:45 Sun", SPRING, []),
        # 03:00 is 02:00 again: a window over it is an hour longer, one inside it comes twice.
        ("01:00-04:00 Sun", AUTUMN, [1, 5]),
        ("02:15-02:45 Sun", AUTUMN, [2.25, 2.75, 3.25, 3.75]),
    ],
)
def test_the_days_on_which_clocks_change(
    label: str, midnight: datetime, changes_after_hours: list[float]
) -> None:
    hours = parse_hours(f"{label} Europe/Berlin")
    began, minutes = midnight.timestamp(), range(24 * 60)
    stands = [is_within(hours, local_time(hours, began + 60 * minute)) for minute in minutes]
    changes = [minute / 60 for minute in minutes[1:] if stands[minute] != stands[minute - 1]]
    assert changes == changes_after_hours
    if changes:
        assert next_change(hours, began) == began + 3600 * changes[0]


def test_what_never_changes_has_no_next_change() -> None:
    assert next_change(parse_hours("00:00-24:00"), MONDAY.timestamp()) is None


_MINUTES = st.integers(0, 1439)
_WINDOWS = st.builds(
    lambda begin, length, days: Window(begin, (begin + length) % 1440, days),
    begin=_MINUTES,
    length=st.integers(1, 1439),
    days=st.frozensets(st.integers(0, 6), min_size=1),
)


@given(st.lists(_WINDOWS, min_size=1, max_size=3), st.integers(0, 7 * 1440), st.integers(0, 59))
def test_the_next_change_is_the_next_one(windows: list[Window], minute: int, second: int) -> None:
    hours = Hours(tuple(windows), "UTC")
    wall = MONDAY.timestamp() + 60 * minute + second
    within, change = is_within(hours, local_time(hours, wall)), next_change(hours, wall)
    last = wall + 7 * 86400 if change is None else change
    moments = range(int(wall), int(last), 60 * 7)
    assert all(is_within(hours, local_time(hours, moment)) is within for moment in moments)
    if change is not None:
        assert change > wall
        assert change % 60 == 0
        assert is_within(hours, local_time(hours, change - 1)) is within
        assert is_within(hours, local_time(hours, change)) is not within


@given(st.text(alphabet="0123456789:-, MonTueSunEurope/Berlin", max_size=40))
def test_no_text_whatsoever_breaks_the_reader(text: str) -> None:
    with suppress(ValueError):
        assert parse_hours(text).windows
