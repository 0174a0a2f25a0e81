"""What is written and what is generated: drawings, documents, decisions, and words that must not stand anywhere."""

from __future__ import annotations

import ast
import json
import re
from enum import StrEnum

import pytest

from scheduler.rules.lifecycle import moves
from tests.house.source import PRODUCT, ROOT, python_files, text_of, tracked_files, tree_of
from tests.support import generated

MACHINE_PATHS = re.compile(r"(?<![\w.$}-])/(?:home|Users|root|work)/[A-Za-z.]")
OUR_PATHS = re.compile(r"`((?:scheduler|workers|api|sdk|tests|deploy|docs)/[\w./-]*\w)/?`")
MADE_BY_READERS = {"deploy/.env"}
RELATIVE_LINKS = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


@pytest.mark.parametrize("kind", [moves.JobEvent, moves.ExecutionEvent], ids=lambda kind: kind.__name__)
def test_each_lifecycle_event_is_fired_in_exactly_one_place(kind: type[StrEnum]) -> None:
    """An event is fired where it meets the store: `move(tx, Event.X, …)`, or `MOVES[Event.X]` within the store itself."""
    places: dict[str, list[str]] = {event.name: [] for event in kind}
    for path in (path for path in python_files("scheduler") if "rules" not in path.parts):
        for node in ast.walk(tree_of(path)):
            owner, _, name = fired_event(node).rpartition(".")
            if owner.endswith(kind.__name__) and name in places and isinstance(node, ast.expr):
                places[name].append(f"{path}:{node.lineno}")
    assert not {name: where for name, where in places.items() if len(where) != 1}


def test_the_drawing_of_the_lifecycle_is_current() -> None:
    assert moves.drawing() in (ROOT / "docs" / "lifecycle.md").read_text(), generated.REMEDY


def test_the_openapi_document_is_current() -> None:
    kept = json.loads((ROOT / "api" / "http" / "document" / "openapi.json").read_text())
    assert kept == json.loads(generated.openapi()), generated.REMEDY


def test_the_types_of_the_clients_answers_are_current() -> None:
    assert (ROOT / "sdk" / "ganger" / "answers.py").read_text() == generated.answers(), generated.REMEDY


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


def test_migrations_follow_one_another_in_one_line() -> None:
    """Two with one number, as two branches make them, would stop every start."""
    folder = ROOT / "scheduler" / "store" / "schema" / "migrations" / "versions"
    said = [
        re.findall(r'^(?:down_)?revision = "?(\w+)"?', path.read_text(), re.MULTILINE)
        for path in sorted(folder.glob("[0-9]*.py"))
    ]
    numbers = [one[0] for one in said]
    assert [path.name[:4] for path in sorted(folder.glob("[0-9]*.py"))] == numbers
    assert [one[1] for one in said] == ["None", *numbers[:-1]]


def fired_event(node: ast.AST) -> str:
    """The event that this very node fires, as written; an empty text if it fires none."""
    if isinstance(node, ast.Call) and len(node.args) > 1 and ast.unparse(node.args[0]) == "tx":
        return ast.unparse(node.args[1])
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("_MOVES"):
        return ast.unparse(node.slice)
    return ""
