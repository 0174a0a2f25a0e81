"""The options of `ganger submit` for what a job waits for: other jobs, by id, or needs in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import orjson
import typer

from ganger.cli.quantities import some_whole_seconds
from ganger.cli.submit.field_options import JobField, SubmissionOptions
from ganger.documents import JsonObject
from ganger.errors import UsageError
from ganger.requests import JobRequest

FOLLOWS = "What it waits for"
_WORDS = ("OK", "ANY", "FAIL", "START")
_NAMES = ("job", "group", "any_of", "after", "allow_skipped", "tolerate", "pairwise")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowOptions(SubmissionOptions):
    """The jobs whose ends a job waits for, and the group that it belongs to."""

    after: Annotated[
        list[int] | None,
        typer.Option(metavar="JOB", help="Start after this job has ended well.", rich_help_panel=FOLLOWS),
    ] = None
    after_any: Annotated[
        list[int] | None,
        typer.Option(metavar="JOB", help="Start after this job has ended, in any way.", rich_help_panel=FOLLOWS),
    ] = None
    after_fail: Annotated[
        list[int] | None,
        typer.Option(metavar="JOB", help="Start if this job fails, and only then.", rich_help_panel=FOLLOWS),
    ] = None
    after_start: Annotated[
        list[int] | None, typer.Option(metavar="JOB", help="Start once this job runs.", rich_help_panel=FOLLOWS)
    ] = None
    needs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NEED",
            help="A need in full: group=shards,tolerate=5% or job=41,after=ANY or JSON; may be repeated.",
            rich_help_panel=FOLLOWS,
        ),
        JobField("needs", by_hand=True),
    ] = None
    needs_within: Annotated[
        int | None,
        typer.Option(
            parser=some_whole_seconds,
            metavar="TIME",
            help="Fail if what it needs has not ended within this time, such as 2h.",
            rich_help_panel=FOLLOWS,
        ),
    ] = None
    group: Annotated[
        str | None,
        typer.Option(help="Make the jobs a group of this name, for others to need.", rich_help_panel=FOLLOWS),
    ] = None
    parent: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="JOB",
            help="In a job, with $GANGER_JOB_ID: what it submits so is cancelled with it.",
            rich_help_panel=FOLLOWS,
        ),
        JobField("parent_job_id"),
    ] = None
    take: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=JOB.OUTPUT",
            help="Take an input from the output of another job, or of a group (INPUT=group:NAME.OUTPUT); the job waits for it.",
            rich_help_panel=FOLLOWS,
        ),
    ] = None

    def apply(self, request: JobRequest) -> JobRequest:
        """Return the request with these fields. Raises UsageError naming the option."""
        found = needs_of(self.after, self.after_any, self.after_fail, self.after_start, self.needs)
        made = replace(SubmissionOptions.apply(self, request), needs=found or None)
        wires = dict(_wire(text) for text in self.take or ())
        return replace(made, inputs={**(made.inputs or {}), **wires}) if wires else made


def needs_of(
    after: Sequence[int] | None,
    after_any: Sequence[int] | None,
    after_fail: Sequence[int] | None,
    after_start: Sequence[int] | None,
    needs: Sequence[str] | None,
) -> list[int | str | Mapping[str, object]]:
    """Return needs as the API writes them. Raises UsageError naming the option."""
    found: list[int | str | Mapping[str, object]] = [*(after or ())]
    others = {"ANY": after_any, "FAIL": after_fail, "START": after_start}
    found += [{"job": job, "after": word} for word, jobs in others.items() for job in jobs or ()]
    return found + [_need(text) for text in needs or ()]


def _wire(text: str) -> tuple[str, JsonObject]:
    """Return an input and where it is taken from, as the API writes it."""
    name, equals, source = text.partition("=")
    parent, point, output = source.partition(".")
    kind, colon, group = parent.partition(":")
    if not (name and equals and parent and point and output) or (colon and (kind != "group" or not group)):
        raise UsageError(f"--take is INPUT=JOB.OUTPUT or INPUT=group:NAME.OUTPUT, not {text!r}")
    if colon:
        return name, {"from": {"group": group, "output": output}}
    if not (parent.isascii() and parent.isdigit()):
        raise UsageError(f"--take: {parent!r} is not the id of a job")
    return name, {"from": {"job": int(parent), "output": output}}


def _need(text: str) -> int | JsonObject:
    """Return a need as the API writes it."""
    if text.isascii() and text.isdigit():
        return int(text)
    if text.startswith("{"):
        try:
            return dict(orjson.loads(text))
        except ValueError:
            raise UsageError(f"--needs: {text!r} is not JSON") from None
    need: JsonObject = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if name not in _NAMES:
            raise UsageError(f"--needs: {name!r} is none of {', '.join(_NAMES)}")
        need[name] = _value(name, value) if equals else True
    return need


def _value(name: str, value: str) -> object:
    if name == "after":
        if value.upper() not in _WORDS:
            raise UsageError(f"--needs: after is one of {', '.join(_WORDS)}, not {value!r}")
        return value.upper()
    if name in {"allow_skipped", "pairwise"}:
        return value.lower() not in {"false", "no", "0"}
    if name == "any_of":
        return _numbers(value.split("+"))
    return int(value) if value.isascii() and value.isdigit() else value


def _numbers(words: Sequence[str]) -> list[int | str]:
    return [int(word) if word.isascii() and word.isdigit() else word for word in words]
