"""The rules of the house that no linter knows: sizes, who may import whom, one place per event, what is generated.

Each test names every offender with its place, so that one run is enough to put them right.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from scheduler.rules.lifecycle import moves
from tests.support import generated

ROOT = Path(__file__).parents[1]
PACKAGES = ("scheduler", "workers", "api", "ganger")
PRODUCT = ("scheduler", "workers", "api", "sdk/ganger")
"""The folders of these packages."""

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
RACE_AGE_MAX = timedelta(weeks=4)
FILES_PER_FOLDER_MAX = 15

# Words that say nothing of what is in a file, and names of modules that shadow one Python or we depend on.
EMPTY_NAMES = {"utils", "util", "common", "manager", "base", "misc", "helpers", "helper", "stuff", "shared"}
SHADOWING_NAMES = {"celery", "kombu", "logging", "select", "signal", "socket", "types", "random"}

# The packages' one-way streets that import-linter's contracts cannot say without naming every module there will be:
# what stands on the left may import, of our own code, only what stands on the right.
TYPES = ("scheduler.identifiers", "scheduler.documents")
# How a try ends is reported by nodes and decided on by the scheduler: a few pure words, in one place for both.
OUTCOMES = "scheduler.rules.lifecycle.outcome"
MAY_IMPORT = {
    "scheduler.rules": ("scheduler.rules", "scheduler.errors", *TYPES),
    "scheduler.store": ("scheduler.store", "scheduler.rules", "scheduler.errors", "scheduler.wire", *TYPES),
    "scheduler.wire": ("scheduler.errors", "scheduler.rules", *TYPES),
    "scheduler.errors": (),
    "scheduler.identifiers": (),
    "scheduler.documents": (),
    "scheduler": ("scheduler",),
    "workers.supervisor": ("workers.supervisor",),
    "workers": ("workers", "scheduler.wire", "scheduler.errors", OUTCOMES, *TYPES),
    "ganger": ("ganger",),
    "api.client": ("ganger",),
    "api.serve": ("api", "scheduler", "workers"),
    "api": ("api", "ganger", "scheduler"),
}

# Libraries that belong to one corner of the house.
ONLY_IN = {
    "alembic": ("scheduler/store/schema/migrations/",),
    "celery": ("workers/",),
    "flask": ("api/",),
    "gunicorn": ("api/",),
    "kombu": ("workers/", "scheduler/leader/dispatch.py"),
    "numpy": ("scheduler/rules/", "scheduler/cluster_state.py"),
    "psycopg": ("scheduler/", "api/up/embedded/"),
    "redis": ("api/",),
    "sqlalchemy": ("scheduler/", "api/serve.py"),
    "typer": ("sdk/ganger/cli/", "api/cli/"),
}
# What may be known of the database library elsewhere: the transaction that a verb opens and hands on, and its errors.
SQL_NAMES_OUTSIDE_STORE = {"URL", "Connection", "Engine", "create_engine", "event", "make_url"}

PURE_LIBRARY = {
    *("__future__", "abc", "array", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime", "decimal"),
    *("enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "itertools", "json", "math", "numbers"),
    *("operator", "re", "statistics", "string", "textwrap", "types", "typing", "unicodedata", "zlib", "zoneinfo"),
}

MACHINE_PATHS = re.compile(r"(?<![\w.$}-])/(?:home|Users|root|work)/[A-Za-z.]")
OUR_PATHS = re.compile(r"`((?:scheduler|workers|api|sdk|tests|deploy|docs)/[\w./-]*\w)/?`")
MADE_BY_READERS = {"deploy/.env"}
RELATIVE_LINKS = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
# Not written by us, or nothing but names and numbers.
UNREAD = ("LICENSE", "deploy/requirements.lock", "api/http/document/openapi.json")


def test_no_file_is_longer_than_the_ceiling() -> None:
    long = {str(path): count for path in python_files() if (count := len(text_of(path).splitlines())) > FILE_LINES_MAX}
    assert not long


def test_no_function_is_longer_than_a_page() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": lines
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := own_lines(node)) > FUNCTION_LINES_MAX
    }
    assert not long


def test_files_have_names_that_say_what_is_in_them() -> None:
    parts = {path: {*path.parts[:-1], path.stem} for path in python_files()}
    assert not [str(path) for path, names in parts.items() if names & (EMPTY_NAMES | SHADOWING_NAMES)]


def test_no_test_folder_shadows_a_package() -> None:
    assert not {path.name for path in (ROOT / "tests").iterdir()} & set(PACKAGES)


def test_the_import_contracts_hold_and_list_no_exceptions() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert not [contract["name"] for contract in contracts if "ignore_imports" in contract]
    told = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_module_imports_only_what_lies_below_it() -> None:
    offences = [
        f"{path}:{line} imports {target}"
        for path in python_files(*PRODUCT)
        for line, target in own_imports(path)
        if not permitted(module_of(path), target)
    ]
    assert not offences


def test_a_folder_of_the_product_has_few_enough_files_to_be_read_at_a_glance() -> None:
    counts = Counter(path.parent for path in python_files(*PRODUCT) if path.stem != "__init__")
    assert not {str(folder): count for folder, count in counts.items() if count > FILES_PER_FOLDER_MAX}


def test_no_two_folders_of_a_package_import_each_other() -> None:
    """One way only: what is in the one folder may use the other, or the other way round, never both."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for path in python_files(*PRODUCT):
        for line, target in own_imports(path):
            if pair := neighbours(module_of(path), target):
                arrows.setdefault(pair, []).append(f"{path}:{line} imports {target}")
    assert not {pair: where for pair, where in arrows.items() if pair[::-1] in arrows}


def test_libraries_stay_in_their_corner() -> None:
    offences = [
        f"{path}:{line} imports {name}"
        for path in python_files(*PRODUCT, "tests")
        for line, name in imports(path)
        if not name.startswith("sqlalchemy.exc.")  # what a lost database looks like may be known anywhere
        if (corner := ONLY_IN.get(name.partition(".")[0])) and not str(path).startswith((*corner, "tests/"))
    ]
    assert not offences


def test_sql_is_written_only_in_the_store() -> None:
    offences = [
        f"{path}:{node.lineno} {alias.name}"
        for path in python_files(*PRODUCT)
        if not str(path).startswith("scheduler/store/")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        if node.module != "sqlalchemy.exc"
        for alias in node.names
        if alias.name not in SQL_NAMES_OUTSIDE_STORE
    ]
    assert not offences


def test_rules_use_only_the_pure_part_of_the_standard_library_and_numpy() -> None:
    offences = [
        f"{path}:{line} imports {name}"
        for path in python_files("scheduler/rules")
        for line, name in imports(path)
        if name.partition(".")[0] not in {*PURE_LIBRARY, "numpy", "scheduler"}
    ]
    assert not offences


def test_the_supervisor_imports_the_standard_library_and_itself_only() -> None:
    """It outlives the agent and runs isolated, without any library: one import too many and no node starts a job."""
    offences = [
        f"{path}:{line} imports {name}"
        for path in python_files("workers/supervisor")
        for line, name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not within(name, "workers.supervisor")
    ]
    assert not offences


def test_tests_await_signals_and_sleep_only_where_a_comment_says_why_there_is_none() -> None:
    offences = [
        f"{path}:{node.lineno}"
        for path in python_files("tests")
        if path.parts[1] != "bench"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and lets_time_pass(node)
        if "#" not in text_of(path).splitlines()[node.lineno - 1]
    ]
    assert not offences


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("time.sleep(5)", True),
        ("threading.Event().wait(30)", True),
        ("pause.wait(0.05)", True),
        ("pause.wait(timeout=0.05)", True),
        ("select.select([pipe], [], [], 0.01)", True),
        ("done.wait(30)", False),
        ("done.wait(timeout=WAIT_S)", False),
        ("select.select([pipe], [], [], 10)", False),
        ("words.join(parts)", False),
    ],
)
def test_a_sleep_is_seen_under_whatever_name(source: str, *, expected: bool) -> None:
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert lets_time_pass(statement.value) is expected


def test_whatever_may_be_tried_twice_is_a_test_with_a_date_a_trace_and_somebody_who_looks_for_it() -> None:
    races = tomllib.loads((ROOT / "tests" / "known_races.toml").read_text()).get("race", [])
    for race in races:
        assert race.keys() == {"test", "since", "trace", "doing"}
        path, _, name = race["test"].partition("::")
        assert f"def {name.partition('[')[0]}(" in text_of(Path(path))
        assert datetime.now(UTC).date() - race["since"] < RACE_AGE_MAX


@pytest.mark.parametrize("kind", [moves.JobEvent, moves.ExecutionEvent], ids=lambda kind: kind.__name__)
def test_each_lifecycle_event_is_fired_in_exactly_one_place(kind: type[StrEnum]) -> None:
    """An event is fired where it meets the store: `move(tx, Event.X, …)`, or `MOVES[Event.X]` within the store itself."""
    places: dict[str, list[str]] = {event.name: [] for event in kind}
    for path in (path for path in python_files("scheduler") if "rules" not in path.parts):
        for node in ast.walk(tree_of(path)):
            owner, _, name = fired_event(node).rpartition(".")
            if owner.endswith(kind.__name__) and name in places:
                places[name].append(f"{path}:{node.lineno}")
    assert not {name: where for name, where in places.items() if len(where) != 1}


def test_the_drawing_of_the_lifecycle_is_current() -> None:
    assert moves.drawing() in (ROOT / "docs" / "lifecycle.md").read_text(), generated.REMEDY


def test_the_openapi_document_is_current() -> None:
    kept = json.loads((ROOT / "api" / "http" / "document" / "openapi.json").read_text())
    assert kept == json.loads(generated.openapi()), generated.REMEDY


def test_decisions_are_numbered_once_and_stand_in_their_index() -> None:
    pages = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert len({name.partition("-")[0] for name in pages}) == len(pages)
    assert re.findall(r"\]\(([0-9][^)]*)\)", (ROOT / "docs" / "decisions" / "README.md").read_text()) == pages


def test_every_file_that_the_documentation_names_is_there() -> None:
    offences = [
        f"{path}:{number} {name}"
        for path in tracked_files()
        if path.suffix == ".md" and path.name != "CHANGELOG.md"
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        for name in (*OUR_PATHS.findall(line), *(str(path.parent / link) for link in RELATIVE_LINKS.findall(line)))
        if name not in MADE_BY_READERS and not (ROOT / name).exists()
    ]
    assert not offences


def test_no_machine_of_ours_and_nothing_unfinished_is_mentioned() -> None:
    offences = [
        f"{path}:{number} {line.strip()[:100]}"
        for path in tracked_files()
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if MACHINE_PATHS.search(line) or UNFINISHED.search(line)
    ]
    assert not offences


def test_every_rule_that_is_off_says_why() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    ignored = settings.partition("ignore = [")[2].partition("\n]")[0].strip().splitlines()
    assert not [line for line in ignored if "#" not in line]
    unexplained = re.compile(r"#\s*type:\s*ignore(?:\[[^]]*\])?\s*$")
    assert not [
        f"{path}:{number}"
        for path in python_files(*PRODUCT)
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if unexplained.search(line)
    ]


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Our Python files, relative to the project's root; of all folders if none are named."""
    tops = folders or (*PRODUCT, "tests", "deploy")
    return tuple(
        sorted(
            Path(where, name).relative_to(ROOT)
            for top in tops
            for where, _, names in os.walk(ROOT / top)
            for name in names
            if name.endswith(".py")
        )
    )


@cache
def tracked_files() -> tuple[Path, ...]:
    """What is in the repository; in an unpacked archive without one, every Python file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [Path(name) for name in listed.stdout.split("\0") if name] or list(python_files())
    return tuple(path for path in names if str(path) not in UNREAD and (ROOT / path).is_file())


@cache
def text_of(path: Path) -> str:
    """Text of a file; what is no text (a picture, an archive) counts as empty."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    parts = parts[1:] if parts[0] == "sdk" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import statement's line and the full name of what it takes."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    return ((line, name) for line, name in imports(path) if name.partition(".")[0] in PACKAGES)


def permitted(module: str, target: str) -> bool:
    corner = next(name for name in MAY_IMPORT if within(module, name))
    return any(within(target, allowed) for allowed in MAY_IMPORT[corner])


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def folders() -> frozenset[str]:
    """The product's folders, by their dotted names."""
    return frozenset(module_of(path.parent / "__init__.py") for path in python_files(*PRODUCT))


def neighbours(module: str, target: str) -> tuple[str, str] | None:
    """Return the two folders of one package that hold the one and the other; None if no two such folders do."""
    here, there = module.split("."), target.split(".")
    shared = next((depth for depth, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), 0)
    if not shared:
        return None  # of other packages, or the very same
    pair = ".".join(here[: shared + 1]), ".".join(there[: shared + 1])
    return pair if folders().issuperset(pair) else None


def fired_event(node: ast.AST) -> str:
    """The event that this very node fires, as written; an empty text if it fires none."""
    if isinstance(node, ast.Call) and len(node.args) > 1 and ast.unparse(node.args[0]) == "tx":
        return ast.unparse(node.args[1])
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("_MOVES"):
        return ast.unparse(node.slice)
    return ""


def lets_time_pass(call: ast.Call) -> bool:
    """Whether a call only waits: a sleep, or a wait under another name that nobody can end or that is over in a moment."""
    called = ast.unparse(call.func)
    if called.rpartition(".")[2] in {"sleep", "sleep_until", "sigtimedwait"}:
        return True
    limits = [*call.args, *(keyword.value for keyword in call.keywords)]
    is_short = bool(limits) and isinstance(limits[-1], ast.Constant) and is_a_moment(limits[-1].value)
    waits = called.endswith((".wait", ".wait_for", ".poll", "select.select", ".join"))
    return called.endswith("Event().wait") or (waits and is_short)


def is_a_moment(seconds: object) -> bool:
    """Whether a wait for so long is a poll rather than the bound on a signal."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, without its docstring and without the functions and classes defined in it."""
    total = (function.end_lineno or 0) - function.body[0].lineno + 1
    elsewhere = [
        node for node in function.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    if ast.get_docstring(function) is not None:
        elsewhere.append(function.body[0])  # type: ignore[arg-type]  # an expression, which has lines all the same
    return total - sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in elsewhere)
