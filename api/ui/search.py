"""The words of the search field, for jobs: `status:failed type:kml* label:run=7 -project:test "text"`.

Commas mean or, a minus in front excludes. A word that is a number is a job's id. The result are parameters of the API's list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from api.ui import forms
from scheduler.errors import InvalidInput
from scheduler.rules.lifecycle.moves import JobStatus

MOST_LETTERS = 2_000
MOST_WORDS = 50

WORDS: Mapping[str, str] = {
    "status": "status", "id": "job_id", "type": "job_type_name", "category": "job_type_category", "node": "node",
    "pool": "pool", "label": "label", "name": "job_name", "workflow": "workflow_id", "project": "project",
    "error": "error_name", "priority": "priority", "held": "is_held", "operation": "changed_by",
    "created": "created", "changed": "changed", "text": "text",
}  # fmt: skip
"""The words before a colon, and the parameters of the API's list that they stand for."""

_TOKEN = re.compile(r'(-?)(?:([a-z]+)([:<>]))?("(?:[^"\\]|\\.)*"|[^\s"]+)')
_AGO = re.compile(r"([0-9]{1,6})(s|min|m|h|d|w)\Z")
_UNITS = {"s": "PT{}S", "min": "PT{}M", "m": "PT{}M", "h": "PT{}H", "d": "P{}D", "w": "P{}D"}


@dataclass(frozen=True, slots=True)
class SearchWord:
    """One word as it was written, to be shown as a chip, and the text without it."""

    text: str
    without: str


@dataclass(slots=True)
class JobSearch:
    """A search as parameters of the API's list, and the words that it was made of. `number`: the job that it names alone."""

    query: dict[str, list[str]] = field(default_factory=dict)
    words: list[SearchWord] = field(default_factory=list)
    number: int | None = None


def parse(text: str) -> JobSearch:
    """Return what a search means. Raises InvalidInput that names the word which is not understood."""
    if len(text) > MOST_LETTERS:
        raise InvalidInput(f"a search has at most {MOST_LETTERS} letters", field="q")
    found = list(_TOKEN.finditer(text))
    if len(found) > MOST_WORDS:
        raise InvalidInput(f"a search has at most {MOST_WORDS} words", field="q")
    made = JobSearch()
    for token in found:
        minus, key, sign, value = token.groups()
        _add(made, key, sign, _unquoted(value), excluded=bool(minus), whole=token[0])
        rest = (text[: token.start()].rstrip() + " " + text[token.end() :].lstrip()).strip()
        made.words.append(SearchWord(token[0], rest))
    if len(found) == 1 and found[0][2] is None and isinstance(number := forms.whole(found[0][4]), int):
        made.number = number
    return made


def _add(made: JobSearch, key: str | None, sign: str | None, value: str, *, excluded: bool, whole: str) -> None:
    if key is None:
        name, values = ("job_id", [value]) if isinstance(forms.whole(value), int) else ("text", [value])
    elif key not in WORDS:
        raise InvalidInput(f"{whole[:60]!r}: {key!r} is no word of the search; these are {', '.join(WORDS)}", field="q")
    elif sign in {"<", ">"} or key in {"created", "changed"}:
        return _add_time(made, key, sign or ":", value, whole)
    else:
        name, values = WORDS[key], [part for part in value.split(",") if part]
    made.query.setdefault(f"not_{name}" if excluded else name, []).extend(_spelled(name, values))
    return None


def _spelled(name: str, values: Sequence[str]) -> list[str]:
    if name == "status":
        return [_status(value) for value in values]
    if name == "label":
        return [value if ":" in value else value.replace("=", ":", 1) for value in values]
    if name == "is_held":
        return ["true" if value in {"yes", "true", "1"} else "false" for value in values]
    return list(values)


def _status(value: str) -> str:
    word = value.upper().replace("-", "_").replace("CANCELLED", "CANCELED")
    known = [one for one in JobStatus if one.startswith(word)]
    return word if word in set(JobStatus) or len(known) != 1 else known[0]


def _add_time(made: JobSearch, key: str, sign: str, value: str, whole: str) -> None:
    """`created>2h` is longer ago than two hours, `created<2h` within them; a date is itself."""
    if key not in {"created", "changed"} or sign == ":":
        raise InvalidInput(f"{whole[:60]!r}: write created<2h, created>2026-11-30, changed<1d", field="q")
    ago = _AGO.match(value)
    moment = _UNITS[ago[2]].format(int(ago[1]) * (7 if ago[2] == "w" else 1)) if ago else value
    later = (sign == "<") == bool(ago)
    names = {"created": ("created_after", "created_before"), "changed": ("started", "ended")}[key]
    made.query[names[0] if later else names[1]] = [moment]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') and value.endswith('"') else value
