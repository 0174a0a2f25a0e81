"""Status words in SQL are those of the tables of moves: a state that is renamed cannot be missed in a statement.

SQL is written with its words in plain view (`status = 'QUEUED'`), so this reads every statement of the store, finds the
table that each compared column belongs to, and holds the words to that table's vocabulary.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from scheduler.rules.lifecycle.moves import ExecutionStatus, JobEvent, JobStatus
from scheduler.rules.lifecycle.states import NodeState, OperationStatus
from scheduler.rules.workflow.state import WorkflowState
from tests.house.source import python_files, tree_of

# Events of jobs beside their moves: things done to a job that leave its status as it is.
NOTED = {"HOLD", "RELEASE", "PIN", "UNPIN"}
VOCABULARY: dict[tuple[str, str], set[str]] = {
    ("jobs", "status"): set(JobStatus),
    ("executions", "status"): set(ExecutionStatus),
    ("operations", "status"): set(OperationStatus),
    ("nodes", "state"): set(NodeState),
    ("workflows", "state"): set(WorkflowState),
    ("events", "event"): {*JobEvent, *NOTED},
    ("events", "from"): set(JobStatus),
    ("events", "to"): set(JobStatus),
}

# Parts of statements that name no table themselves, and derived tables by their aliases: what they are of.
PARTS = {
    "(status IN ('QUEUED', 'CANCELED')) IS TRUE": "jobs",
    " WHERE status = 'QUEUED' AND (is_held OR not_before IS NOT NULL OR avoid_nodes <> '{}')": "jobs",
    " WHERE n.state = 'READY'": "nodes",
    " WHERE n.state <> 'GONE' AND n.is_active ORDER BY n.id": "nodes",
    "j.state <> 'GONE'": "nodes",
    "status = 'RUNNING'": "operations",
    "(status = 'COMPLETED') = (result_attempt IS NOT NULL)": "jobs",
    "status <> 'FAILED' OR error_id IS NOT NULL": "jobs",
    "status IN ('QUEUED', 'AHEAD', 'RUNNING') OR released_at IS NOT NULL": "executions",
    "status <> 'AHEAD' OR is_ahead AND claim_token IS NOT NULL AND started IS NULL": "executions",
    "x.released_at IS NULL AND (x.status = 'RUNNING' OR x.status = 'QUEUED' AND NOT x.is_ahead)": "executions",
    "status = 'PENDING'": "jobs",
    "status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED')": "jobs",
    "workflow_id IS NOT NULL AND (status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')) IS TRUE": "jobs",
}
DERIVED = {"g": "jobs", "j": "jobs", "p": "jobs", "last": "events"}

COMPARED = re.compile(
    r"""(?:(?P<alias>\w+)\.)?"?(?P<column>status|state|event|from|to)"?\s*
        (?:=|<>|IN|NOT\s+IN|IS\s+DISTINCT\s+FROM)\s*
        \(?(?P<words>'[A-Z_]+'(?:\s*,\s*'[A-Z_]+')*)""",
    re.VERBOSE,
)
TABLE = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?P<table>\w+)(?:\s+(?:AS\s+)?(?P<alias>(?!ON\b|SET\b|WHERE\b)\w+))?"
)


def test_every_status_word_in_sql_is_one_of_its_table() -> None:
    unknown = [
        f"{path}:{line} {column} of {' or '.join(sorted(tables)) or 'an unknown table'}: {word}"
        for path in python_files("scheduler/store")
        if "migrations" not in path.parts
        for line, sql in texts(path)
        for column, tables, words in comparisons(sql)
        for word in words
        if not tables or any(word not in VOCABULARY[table, column] for table in tables)
    ]
    assert not unknown


def test_no_part_is_listed_that_no_statement_has() -> None:
    written = {sql for path in python_files("scheduler/store") for _, sql in texts(path)}
    assert not PARTS.keys() - written


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module with its line; of one that is put together, the parts that stand there."""
    inside = {id(part) for node in ast.walk(tree_of(path)) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def comparisons(sql: str) -> Iterator[tuple[str, set[str], list[str]]]:
    """Each column that is compared with words, the tables that it may be of, and the words."""
    aliases: dict[str, str] = {}
    for found in TABLE.finditer(sql):
        aliases |= {found["table"]: found["table"], found["alias"] or found["table"]: found["table"]}
    for found in COMPARED.finditer(sql):
        column = found["column"]
        alias = found["alias"]
        tables = (
            {aliases.get(alias, DERIVED.get(alias, ""))} if alias in {*aliases, *DERIVED} else set(aliases.values())
        )
        tables |= {PARTS[sql]} if sql in PARTS else set()
        known = {table for table in tables if (table, column) in VOCABULARY}
        yield column, known, re.findall(r"[A-Z_]+", found["words"])
