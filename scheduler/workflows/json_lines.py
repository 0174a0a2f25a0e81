"""Definitions as JSON lines, for many jobs: one JSON object a line.

{"name": "shards", "limits": {"max_running": 50}}          the keys of the whole, if there are any: the first line, without `job`
{"job": "split", "command": ["split", "airports.csv"]}     a job by its name, with its keys
{"job": "merge", "command": ["merge"], "needs": ["split"]} parents stand before their followers
"""

from __future__ import annotations

from typing import cast

import orjson

from scheduler.documents import Document, JsonValue
from scheduler.errors import InvalidInput
from scheduler.rules.workflow.definition import MOST_JOBS
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource, Place

MOST_BYTES = 32 * 1024 * 1024
"""Longest text of JSON lines."""

MOST_DEPTH = 20
"""Levels of values within a definition, however it is written: what is deeper, readers of JSON on the way to a program refuse."""

NO_NUL = "a text cannot hold a NUL character"

_NAME = "job"


def are(text: str) -> bool:
    """Tell whether a text is JSON lines: its first line is an object by itself, and it is not the only line."""
    first, _, rest = text.lstrip().partition("\n")
    if not first.startswith("{") or not rest.strip():
        return False
    try:
        return isinstance(orjson.loads(first), dict)
    except ValueError:
        return False


def parse(text: str) -> DefinitionSource:
    """Return the definition that the lines mean, with the line of each job; raises InvalidInput with all that cannot be read."""
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise InvalidInput(f"JSON lines are at most {MOST_BYTES} bytes of text; use for_each", field="definition")
    top: Document = {}
    jobs: Document = {}
    marks: dict[Place, tuple[int, int]] = {}
    faults: list[tuple[str, Place]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        marks["line", number] = (number, 1)
        found = _object(line)
        if isinstance(found, str):
            faults.append((found, ("line", number)))
        elif _NAME in found:
            _take(found, number, jobs, marks, faults)
        elif jobs or top:
            faults.append((f"a line has the name of its job as {_NAME!r}", ("line", number)))
        elif "jobs" in found:
            faults.append(("the jobs follow, one in each line", ("line", number)))
        else:
            top = found
    source = DefinitionSource({**top, "jobs": jobs}, marks, is_lines=True)
    noted = DefinitionFaults(source)
    for sentence, place in faults[:100]:
        noted.note(sentence, *place)
    if len(jobs) > MOST_JOBS:
        noted.note(f"a workflow has at most {MOST_JOBS} jobs; this one has {len(jobs)}", "jobs")
    noted.raise_all()
    return source


def _object(line: str) -> Document | str:
    """Return the object of a line, or what is wrong with it."""
    try:
        value: JsonValue = orjson.loads(line)
    except ValueError as error:
        return f"it is not JSON: {error}"
    if not isinstance(value, dict):
        return "it is not a JSON object"
    return _unfit(value) or value


def _unfit(line: Document) -> str | None:
    """Return why the values of a line cannot be kept and handed on to a node; None where they can. It goes level by level."""
    level: list[JsonValue] = [line]
    for _ in range(MOST_DEPTH):
        texts = [key for one in level if isinstance(one, dict) for key in one]
        texts += [one for one in level if isinstance(one, str)]
        if any("\0" in one for one in texts):
            return NO_NUL
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return None
    return f"it is nested at most {MOST_DEPTH} deep"


def _take(
    found: Document,
    number: int,
    jobs: Document,
    marks: dict[Place, tuple[int, int]],
    faults: list[tuple[str, Place]],
) -> None:
    name = found[_NAME]
    if not isinstance(name, str):
        faults.append((f"{_NAME} is the name of the job", ("line", number)))
        return
    if name in jobs:
        faults.append((f"the job {name!r} is there twice", ("line", number)))
        return
    needs = found.get("needs")
    for one in needs if isinstance(needs, list) else [needs]:
        parent = one.get("job") if isinstance(one, dict) else one
        if isinstance(parent, str) and parent not in jobs:
            faults.append((f"the job {name!r} needs {parent!r}, which does not stand before it", ("line", number)))
    jobs[name] = cast("Document", {key: value for key, value in found.items() if key != _NAME})
    marks["jobs", name] = (number, 1)
