"""Who may import whom, and which library belongs to which corner of the house."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house.source import PRODUCT, ROOT, imports, module_of, neighbours, own_imports, python_files, tree_of, within

# The packages' one-way streets that import-linter's contracts cannot say without naming every module there will be:
# what stands on the left may import, of our own code, only what stands on the right.
TYPES = ("scheduler.identifiers", "scheduler.documents")
# How a try ends is reported by nodes and decided on by the scheduler: a few pure words, in one place for both.
OUTCOMES = "scheduler.rules.lifecycle.outcome"
MAY_IMPORT = {
    "scheduler.rules": ("scheduler.rules", "scheduler.errors", *TYPES),
    # Whoever listens connects without the engine, so it reads the address itself.
    "scheduler.store": (
        "scheduler.store",
        "scheduler.rules",
        "scheduler.errors",
        "scheduler.wire",
        "scheduler.servers.database_address",
        *TYPES,
    ),
    "scheduler.wire": ("scheduler.wire", "scheduler.errors", "scheduler.rules", *TYPES),
    "scheduler.errors": (),
    "scheduler.identifiers": (),
    "scheduler.documents": (),
    "scheduler": ("scheduler",),
    "workers.supervisor": ("workers.supervisor",),
    "workers": (
        "workers",
        "scheduler.wire",
        "scheduler.broker_protocol",
        "scheduler.errors",
        "scheduler.web_addresses",
        OUTCOMES,
        *TYPES,
    ),
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
    "redis": ("api/", "scheduler/servers/", "scheduler/nodes/broker_users.py"),
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


def permitted(module: str, target: str) -> bool:
    corner = next(name for name in MAY_IMPORT if within(module, name))
    return any(within(target, allowed) for allowed in MAY_IMPORT[corner])
