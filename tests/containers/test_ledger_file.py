"""The books on disk: written whole or not at all, by one process, and never fatal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.containers.ledger import Account
from app.containers.ledger_file import NAME, Ledger, LedgerFile, dump, load
from app.containers.wake_times import WakeTimes
from tests.chaos.disk import small_disk

TIMES = WakeTimes().with_one(0.2).with_one(3.0)
ACCOUNT = Account(
    opened=1_000.0,
    until=2_000.0,
    seconds={"asleep": 900.0, "unknown": 100.0},
    keepers={"in use": 3.5},
    wakes={"ready": 2, "slow": 1},
    causes={"a request": 3},
    sleeps={"idle": 2},
    times=TIMES,
    memory=1e6,
    saved=9e8,
)
LEDGER = Ledger(1_000.0, 2_000.0, {"mongodb": ACCOUNT, "new": Account(5.0, 6.0)})


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path)


def test_what_is_written_is_read_again(file: LedgerFile, tmp_path: Path) -> None:
    assert file.claim()
    assert file.read() is None
    assert file.write(LEDGER)
    assert file.read() == LEDGER
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        NAME,
        NAME.replace("json", "lock"),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 0}',
        dump(LEDGER).replace(b'"opened": 1000.0', b'"opened": "soon"'),
        dump(LEDGER).replace(b'"ready": 2', b'"ready": -2'),
        dump(LEDGER)[:-40],
    ],
)
def test_a_damaged_file_is_set_aside_with_one_line(
    damage: bytes, file: LedgerFile, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(damage)
    assert file.claim()
    with capture_logs() as lines:
        assert file.read() is None
        assert file.read() is None
    assert [line["event"] for line in lines] == [
        "the container books are damaged; new ones are begun"
    ]
    (aside,) = tmp_path.glob("*.damaged")
    assert aside.read_bytes() == damage
    assert file.write(LEDGER)
    assert file.read() == LEDGER


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(orjson.loads(dump(LEDGER))["accounts"]["mongodb"])), json)
def test_whatever_stands_in_it_it_is_read_or_refused(key: str, value: Any) -> None:
    told = orjson.loads(dump(LEDGER))
    told["accounts"]["mongodb"][key] = value
    try:
        text = orjson.dumps(told)
    except TypeError:  # an integer that JSON's readers do not take
        return
    try:
        ledger = load(text)
    except ValueError:
        return
    assert load(dump(ledger)) == ledger


def test_only_one_of_two_may_write_and_the_other_reads(file: LedgerFile, tmp_path: Path) -> None:
    other = LedgerFile(tmp_path)
    assert file.claim()
    assert file.claim(), "it has it already"
    assert not other.claim()
    assert file.write(LEDGER)
    assert other.read() == LEDGER
    (tmp_path / NAME).write_bytes(b"{")
    assert other.read() is None
    assert (tmp_path / NAME).exists(), "who only reads sets nothing aside"
    file.release()
    file.release()
    assert other.claim()
    other.release()


HOLD = """
import sys, time
from pathlib import Path
from app.containers.ledger_file import LedgerFile
print(LedgerFile(Path(sys.argv[1])).claim(), flush=True)
time.sleep(60)
"""


def test_who_dies_with_the_lock_leaves_it(file: LedgerFile, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=root, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"True"
        try:
            assert not file.claim()
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait(20)
    assert file.claim()
    file.release()


def test_a_folder_is_made_and_one_that_cannot_be_is_told_once(tmp_path: Path) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.touch()
    file = LedgerFile(in_the_way / "books")
    with capture_logs() as lines:
        for _ in range(2):
            assert file.claim(), "who cannot lock keeps books in memory"
            assert not file.write(LEDGER)
            assert file.read() is None
        in_the_way.unlink()
        assert not file.write(LEDGER), "not without the lock"
        assert file.claim()
        assert file.write(LEDGER)
    assert file.read() == LEDGER
    assert [line["event"] for line in lines] == [
        "the container books cannot be kept on disk",
        "the container books can be written again",
    ]
    file.release()


def test_a_disk_that_fills_up_leaves_the_old_file(
    file: LedgerFile,
) -> None:
    assert file.claim()
    assert file.write(LEDGER)
    fresh = file.path.with_suffix(".new")
    # The real thing: a device that is always full stands where the new file would be written.
    fresh.symlink_to("/dev/full")
    with capture_logs() as lines:
        assert not file.write(Ledger(1.0, 2.0, {"other": ACCOUNT}))
    assert [line["event"] for line in lines] == ["the container books cannot be kept on disk"]
    assert file.read() == LEDGER
    file.release()


@pytest.mark.parametrize("locked_before", [True, False])
def test_a_full_disk_is_told_once_and_written_to_when_there_is_room(
    tmp_path: Path, locked_before: bool
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("nobody may mount a disk here")
        folder = tmp_path / "disk" / "books"
        before = LedgerFile(folder)
        assert before.claim()
        assert before.write(LEDGER)
        written = before.path.read_bytes()
        file = before if locked_before else LedgerFile(folder)
        if not locked_before:
            before.release()
        disk.fill()
        more = Ledger(1.0, 2.0, {f"container{number}": ACCOUNT for number in range(500)})
        with capture_logs() as lines:
            assert file.claim()
            for _ in range(3):
                assert not file.write(more)
                assert file.path.read_bytes() == written
                assert not list(folder.glob("*.new")), "nothing half written is left lying about"
            assert file.read() == LEDGER
            disk.empty()
            assert file.write(more)
            assert file.read() == more
        assert [line["event"] for line in lines] == [
            "the container books cannot be kept on disk",
            "the container books can be written again",
        ]
        file.release()


def test_books_of_a_newer_program_are_left_as_they_are(file: LedgerFile) -> None:
    newer = orjson.dumps({**orjson.loads(dump(LEDGER)), "version": 2, "more": True})
    file.path.write_bytes(newer)
    assert file.claim()
    with capture_logs() as lines:
        assert file.read() is None
        assert file.read() is None
    assert [line["event"] for line in lines] == [
        "the container books are of a newer Drawbridge and are left as they are"
    ]
    assert not file.write(LEDGER), "they are kept in memory"
    assert file.path.read_bytes() == newer
