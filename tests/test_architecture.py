"""The tree is law: what may import what, and what importing may do.

The picture of the rooms and floors is in ``docs/architecture.md``.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_PICTURE = """
__main__;
cli;
cli_backup cli_containers cli_jobs cli_keys cli_sync demo doctor reloading workers;
beat main tasks;
routers;
fast_hits jobs runtime;
answering archive middleware workforce;
backup dispatch job_queue upkeep whole_answers;
connections membership remote serving shared_states state_gauges sync_progress terminal
tracing;
cache containers coordination proxy sandbox sync upstream;
error_reports logs metrics records;
config kingdom operator_keys storage;
redaction;
body_files cause console errors json_signs masking owned_task patience quantities steps
telemetry_settings waiting
"""
FLOORS = tuple(frozenset(floor.split()) for floor in _PICTURE.split(";"))
"""From the top; a room may import those below its own floor, and nothing beside or above it."""

EDGES = {
    "docker": ("app/containers/engine.py",),
    # The recorder copies the live API's static data, once and by hand: it may not use the upstream
    # client, which is a room on its own floor, and needs none of what that one knows.
    "aiohttp": (
        "app/upstream/client.py",
        "app/sandbox/recorder.py",
        "app/proxy/forward.py",
        "app/proxy/websocket.py",
    ),
    "pymongo": ("app/storage/mongo_link.py",),
    "bson": ("app/storage/mongo_link.py",),
    "sqlite3": ("app/storage/sqlite_connections.py",),
    # The quotas are shared through a client that is handed to them.
    "redis": ("app/coordination/link.py", "app/middleware/shared_quota.py"),
    # A gateway sends messages without knowing any task; each is loaded only where it is used.
    "celery": ("app/job_queue.py", "app/tasks.py", "app/beat.py"),
    "kombu": ("app/job_queue.py",),
    # Loaded only where somebody wants traces, or reports.
    "opentelemetry": (
        "app/tracing/exporting.py",
        "app/tracing/layer.py",
        "app/tracing/parts.py",
        "app/tracing/spans.py",
    ),
    "sentry_sdk": ("app/error_reports.py",),
    "typer": (
        "app/cli.py",
        "app/cli_backup.py",
        "app/cli_containers.py",
        "app/cli_sync.py",
        "app/cli_jobs.py",
        "app/cli_keys.py",
        "app/terminal.py",
    ),
    # Connections are uvicorn's protocol extended, twice: nobody else knows the inside of that. And
    # it knows how to start a process anew when its code changes.
    "uvicorn": (
        "app/serving.py",
        "app/connections.py",
        "app/fast_hits.py",
        "app/whole_answers.py",
        "app/reloading.py",
    ),
}
"""Where the world outside is met: each library in one file, so that it can be replaced there."""

PURE = (
    "app/kingdom/catalogue.py",
    "app/backup/manifest.py",
    "app/records/course.py",
    "app/records/question.py",
    "app/records/query.py",
    "app/records/snapshot.py",
    "app/sync/forms.py",
    "app/sync/difference.py",
    "app/records/change_text.py",
    "app/records/points.py",
    "app/records/readings.py",
    "app/records/stepping.py",
    "app/records/thinning.py",
    "app/routers/moments.py",
    "app/cache/key.py",
    "app/cache/batches.py",
    "app/cache/rows.py",
    "app/cache/freshness.py",
    "app/cache/admission.py",
    "app/cache/leases.py",
    "app/cache/outcome.py",
    "app/cache/fields.py",
    "app/cache/purges.py",
    "app/cache/emptied.py",
    "app/cache/handover.py",
    "app/cache/conditional.py",
    "app/cache/encoding.py",
    "app/proxy/headers.py",
    "app/redaction.py",
    "app/upstream/pacing.py",
    "app/upstream/retry.py",
    "app/upstream/breaker.py",
    "app/upstream/concurrency.py",
    "app/upstream/lie.py",
    "app/upstream/line.py",
    "app/upstream/plausible.py",
    "app/upstream/exchange.py",
    "app/middleware/quota.py",
    "app/masking.py",
    "app/patience.py",
    "app/containers/spec.py",
    "app/containers/events.py",
    "app/containers/lifecycle.py",
    "app/containers/idle.py",
    "app/containers/hours.py",
    "app/containers/veto.py",
    "app/containers/ledger.py",
    "app/containers/pressure.py",
    "app/containers/run_log.py",
    "app/containers/report.py",
    "app/containers/wake_times.py",
    "app/kingdom/collections.py",
    "app/sync/compare.py",
    "app/sync/doubt.py",
    "app/sync/job.py",
    "app/sync/rows.py",
    "app/sync/schedule.py",
)
"""Decisions: values in, values out."""

IMPURE = frozenset(
    [
        "asyncio",
        "time",
        "socket",
        "threading",
        "subprocess",
        "os",
        "logging",
        "structlog",
        "secrets",
    ]
)
"""What a decision has no use for: time and chance are handed in."""

WITHOUT_TWIN = {
    "app/errors.py": "a tree of names; each is tested where it is raised",
    "app/containers/conductor.py": "driven by every test of the fleet, on a real engine",
    "app/containers/events.py": "values, each of them in the tables of test_lifecycle.py",
    "app/containers/yielding.py": "driven by test_several_gateways.py, on a real engine and Redis",
    "app/records/change.py": "values and promises, held by test_change_log_contract.py",
    "app/coordination/meeting.py": "every test in tests/test_membership.py goes through it",
    "app/containers/view.py": "values, read by every test of the fleet",
    "app/containers/work.py": "driven by every test of the fleet, on a real engine",
    "app/answering.py": "every test in tests/routers goes through it",
    "app/archive.py": "every test in tests/routers and tests/story goes through it",
    "app/jobs.py": "run as a process in tests/test_cli_sync.py and tests/test_tasks.py",
    "app/records/history.py": "values and promises, held by test_history_contract.py",
    "app/demo.py": "run as a process in tests/test_cli.py",
    "app/doctor.py": "run as a process in tests/test_cli.py",
    "app/main.py": "every test in tests/routers goes through it",
    "app/backup/places.py": "opened by every test in tests/backup",
    "app/records/store.py": "held by test_store_contract.py and test_store_model.py",
    "app/runtime.py": "every test in tests/routers goes through it",
    "app/state_gauges.py": "read through /metrics in tests/routers and tests/story",
}
"""Modules that have no test file of the same name, each with the reason."""

GENERATED = ("app/kingdom/constants.py",)

VAGUE = frozenset(
    ["utils", "util", "helpers", "helper", "common", "core", "misc", "services", "manager"]
)


@dataclass(frozen=True)
class Module:
    """One file of the program: its path from the root, and what stands in it."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        """The folder or file right under ``app``; empty for ``app`` itself."""
        return self.name.partition(".")[2].partition(".")[0]

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every module named in an import, wherever it stands, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                yield base, node.lineno
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        keep = len(parts) - node.level + self.path.endswith("__init__.py")
        return ".".join([*parts[:keep], *filter(None, [node.module])])


MODULES = tuple(
    Module(str(path.relative_to(ROOT))) for path in sorted((ROOT / "app").rglob("*.py"))
)
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)


def floor_of(room: str) -> int:
    """How far from the top; raises for a room that is not in the picture."""
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    raise LookupError(f"app/{room} is on no floor: put it into FLOORS and docs/architecture.md")


def wrong_imports(module: Module) -> list[str]:
    """The imports of ``module`` that do not run down, one line each."""
    found = []
    for imported, line in module.imports():
        package, _, rest = imported.partition(".")
        room = rest.partition(".")[0]
        known = any(room in rooms for rooms in FLOORS)
        if package != "app" or not known or room == module.room or not module.room:
            continue
        if floor_of(room) <= floor_of(module.room):
            found.append(f"{module.path}:{line} imports {imported}, which is not below it")
    return found


@each_module
def test_every_room_is_on_a_floor(module: Module) -> None:
    assert not module.room or floor_of(module.room) >= 0


@each_module
def test_imports_run_down(module: Module) -> None:
    assert wrong_imports(module) == []


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    [package] = [module for module in MODULES if module.path == "app/__init__.py"]
    assert [name for name, _ in package.imports() if name.startswith("app")] == []


def test_no_import_runs_in_a_circle() -> None:
    names = {module.name for module in MODULES}
    below = {
        module.name: {name for name, _ in module.imports() if name in names} - {module.name}
        for module in MODULES
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " > ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in sorted(below[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(names):
        visit(name, ())


@each_module
def test_each_library_is_met_in_its_own_file(module: Module) -> None:
    wrong = [
        f"{module.path}:{line} imports {name}; only {', '.join(EDGES[library])} may"
        for name, line in module.imports()
        if (library := name.partition(".")[0]) in EDGES and module.path not in EDGES[library]
    ]
    assert wrong == []


@each_module
def test_no_base_http_middleware(module: Module) -> None:
    assert "BaseHTTPMiddleware" not in module.text


@pytest.mark.parametrize("path", PURE)
def test_decisions_are_pure(path: str) -> None:
    module = Module(path)
    nodes = list(ast.walk(module.tree))
    used = {name.partition(".")[0] for name, _ in module.imports()}
    assert used & IMPURE == set()
    assert not [node.name for node in nodes if isinstance(node, ast.AsyncFunctionDef)]
    # Chance may be named, as the type of what is handed in, but not made.
    chances = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    assert {text for text in chances if text.startswith("random.")} <= {"random.Random"}
    assert "random.Random(" not in module.text


@each_module
def test_files_and_functions_stay_short(module: Module) -> None:
    if module.path in GENERATED:
        return
    assert module.text.count("\n") <= 400
    functions = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [
        f"{module.path}:{node.lineno} {node.name} has {length} lines"
        for node in functions
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > 60
    ]
    assert long == []


@each_module
def test_names_say_what_it_does(module: Module) -> None:
    assert not set(module.name.split(".")) & VAGUE


def twin_of(module: Module) -> Path:
    """The test file that mirrors ``module``."""
    path = Path(module.path)
    return ROOT / "tests" / path.parent.relative_to("app") / f"test_{path.name}"


@each_module
def test_every_module_has_a_twin_among_the_tests(module: Module) -> None:
    if Path(module.path).name in {"__init__.py", "__main__.py"}:
        return
    if module.path in WITHOUT_TWIN:
        assert not twin_of(module).exists(), "it has a twin now: take it off the list"
        return
    assert twin_of(module).exists(), f"write {twin_of(module).relative_to(ROOT)}"


IMPORT_EVERYTHING = """
import importlib, json, os, sys, threading

written = []

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if isinstance(flags, int) and flags & writes and path != os.devnull:
            written.append(str(path))
    elif event in {"os.mkdir", "sqlite3.connect", "subprocess.Popen", "socket.connect"}:
        written.append(f"{event} {arguments[0]!r}")

def sockets():
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(link) and os.readlink(link).startswith("socket:") for link in links)

before = sockets()
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({
    "threads": [thread.name for thread in threading.enumerate()],
    "sockets": sockets() - before,
    "written": written,
}))
"""


def test_importing_does_nothing(tmp_path: Path) -> None:
    names = [module.name for module in MODULES if not module.path.endswith("__main__.py")]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_EVERYTHING, *names],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"threads": ["MainThread"], "sockets": 0, "written": []}
    assert list(tmp_path.iterdir()) == []


def test_what_most_gateways_do_not_need_is_not_loaded() -> None:
    """Redis' client takes 6 MB, MongoDB's 7: they are imported where they are used."""
    code = "import app.cli, sys; print(*sorted({'redis', 'pymongo', 'celery'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == []


def module_of(path: str, text: str) -> Module:
    module = Module(path)
    module.__dict__["text"] = text
    return module


@pytest.mark.parametrize(
    ("path", "text", "wrong"),
    [
        ("app/cache/key.py", "from app.errors import StoreError", 0),
        ("app/cache/key.py", "from app.cache.store import Entry", 0),
        ("app/cache/key.py", "from app.upstream.client import Client", 2),
        ("app/cache/key.py", "from app import runtime", 1),
        ("app/cache/key.py", "def f():\n    import app.routers.mirror", 1),
        ("app/cache/key.py", "from ..containers import fleet", 2),
        ("app/cache/__init__.py", "from ..containers import fleet", 2),
        ("app/cache/key.py", "from .store import Entry", 0),
        ("app/kingdom/items.py", "from app.config import Settings", 2),
        ("app/main.py", "import app.cli", 1),
        ("app/cli.py", "from app import __version__, main", 0),
    ],
)
def test_a_wrong_import_is_seen(path: str, text: str, wrong: int) -> None:
    assert len(wrong_imports(module_of(path, text))) == wrong
