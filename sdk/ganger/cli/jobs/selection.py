"""Which jobs a command is about: ids, or the filters of the list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from typer.models import OptionInfo

from ganger.cli import job_ids, times
from ganger.cli.options import words as split_words
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger.paging import Filter

PANEL = "Which jobs (repeat an option for alternatives)"


def _filter(text: str, name: str) -> OptionInfo:
    option = typer.Option(name, help=text, rich_help_panel=PANEL)
    assert isinstance(option, OptionInfo)  # noqa: S101 - typer types it as Any, for use as a default
    return option


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilters:
    """The options that filter jobs, as those of `GET /jobs/` do. None filters nothing."""

    status: Annotated[list[str] | None, _filter("Such as QUEUED.", "--status")] = None
    job_type: Annotated[list[str] | None, _filter("Names of job types.", "--type")] = None
    category: Annotated[list[str] | None, _filter("Categories of job types.", "--category")] = None
    error_category: Annotated[
        list[str] | None, _filter("Failed with SYSTEM, DATA or ALGORITHM errors.", "--error-category")
    ] = None
    node: Annotated[list[str] | None, _filter("On these nodes.", "--node")] = None
    pool: Annotated[list[str] | None, _filter("For these pools, or on their nodes.", "--pool")] = None
    label: Annotated[list[str] | None, _filter("With this label, KEY=VALUE.", "--label")] = None
    project: Annotated[list[str] | None, _filter("Of these projects.", "--project")] = None
    name: Annotated[list[str] | None, _filter("Of this name, as `submit --name` gave it.", "--name")] = None
    since: Annotated[
        str | None, _filter("Changed since: 3h, 2d, yesterday, 2026-11-22 or 2026-11-22T10:00:00Z.", "--since")
    ] = None
    until: Annotated[str | None, _filter("Not changed since, likewise.", "--until")] = None

    def query(self) -> dict[str, Filter]:
        """Return the filters that are given, as the client takes them."""
        given: dict[str, Filter] = {
            "status": [word.upper() for word in self.status or ()],
            "job_type_name": self.job_type,
            "job_type_category": self.category,
            "error_category": self.error_category,
            "node": self.node,
            "pool": self.pool,
            "label": [f"{key}:{value}" for key, value in split_words(self.label or [], "--label")],
            "project": self.project,
            "job_name": self.name,
            "started": times.past(self.since, "--since") if self.since else None,
            "ended": times.past(self.until, "--until") if self.until else None,
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions(JobFilters):
    """The filters of a command that changes jobs; it also has `--all`."""

    everything: Annotated[
        bool, typer.Option("--all", help="Every job that the token may see.", rich_help_panel=PANEL)
    ] = False

    def select(self, words: Sequence[str] | None) -> Selection:
        """Return which jobs are meant. Raises UsageError for ids and filters together, and for neither."""
        filters = self.query()
        ids = job_ids.job_ids(words or ())
        if words and not ids:
            raise UsageError("standard input has no ids of jobs")
        if ids and (filters or self.everything):
            raise UsageError("give ids of jobs or options that choose them, not both")
        if not (ids or filters or self.everything):
            raise UsageError("which jobs? give ids, options such as --status QUEUED, or --all")
        return Selection(tuple(ids), filters, self.everything)


OPTIONS = {
    "status": "--status", "job_type_name": "--type", "job_type_category": "--category", "error_category": "--error-category",
    "node": "--node", "pool": "--pool", "label": "--label", "project": "--project", "job_name": "--name",
    "started": "--since", "ended": "--until", "order": "--order", "group_by": "--group-by",
}  # fmt: skip
"""The option of each filter of the API."""


@contextmanager
def of_options() -> Iterator[None]:
    """Turn a refusal of a filter into an UsageError that names its option; other refusals go through."""
    from ganger import InvalidRequest  # noqa: PLC0415 - whoever asks has it already

    try:
        yield
    except InvalidRequest as refused:
        field = re.sub(r"\[\d+\]$", "", refused.field or "")
        if field not in OPTIONS:
            raise
        sentence = str(refused).removeprefix(f"{refused.field}: ").removeprefix(f"{field}: ")
        raise UsageError(f"{OPTIONS[field]}: {sentence}", field=OPTIONS[field]) from None


@dataclass(frozen=True, slots=True)
class Selection:
    """Jobs by id, by filters as the API names them, or all."""

    job_ids: Sequence[int]
    filters: Mapping[str, Filter]
    everything: bool

    @property
    def given(self) -> Mapping[str, Filter]:
        """The filters that the client takes; ids are one of them."""
        return {"job_id": [*self.job_ids]} if self.job_ids else self.filters
