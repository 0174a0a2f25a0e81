"""What a job needs of others: as it is asked for, and as its detail shows it."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator
from typing_extensions import TypedDict

from api.http.schema.fields import LEFT_OUT, Body, Id, Word
from scheduler.needs.new_needs import NewNeed
from scheduler.rules.lifecycle.needs import MOST_WRITTEN_OUT, NeedKind

AfterWord = Literal["OK", "ANY", "FAIL", "START"]
assert set(AfterWord.__args__) == set(NeedKind)  # type: ignore[attr-defined]  # noqa: S101

JobKey = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\u0000-\u001f\u007f]+$")]
"""The name of a job within its batch."""

InBatch = Annotated[
    str, StringConstraints(min_length=2, max_length=129, pattern=r"^(?:@[0-9]{1,7}|=[^\u0000-\u001f\u007f]+)$")
]
_JOB = 'a job\'s id; "@3" is the fourth of the batch, "=name" the one of the batch with that `key`'
NeededJob = Annotated[Id | InBatch, Field(description=_JOB)]
Percent = Annotated[str, StringConstraints(pattern=r"^(?:100|[0-9]{1,2}(?:\.[0-9]{1,3})?)%$")]


class NeedBody(Body):
    """What a job waits for: the end of another job, of all members of a group, or of any one of several jobs."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [name]} for name in ("job", "group", "any_of")],
            "examples": [{"job": 41, "after": "ANY"}, {"group": "shards", "tolerate": "5%"}, {"any_of": [41, "@0"]}],
        }
    )

    job: NeededJob = LEFT_OUT
    group: Annotated[Id | Word, Field(description="a group's id; or its name: of this batch, or else the newest")] = (
        LEFT_OUT
    )
    any_of: Annotated[
        list[NeededJob],
        Field(min_length=1, max_length=MOST_WRITTEN_OUT, description="the first good one satisfies it"),
    ] = LEFT_OUT
    after: Annotated[
        AfterWord, Field(description="the end that satisfies it: a good one, any, a failure; or already the start")
    ] = "OK"
    allow_skipped: Annotated[bool, Field(description="a parent that was skipped satisfies it, too")] = False
    tolerate: Annotated[
        Annotated[int, Field(ge=0, le=10_000_000)] | Percent,
        Field(description="of a group so many members, or so many of a hundred, may end badly"),
    ] = 0
    pairwise: Annotated[
        bool, Field(description="of a group the member with the same place that the job has in its own group")
    ] = False

    @model_validator(mode="after")
    def _one_of_each(self) -> NeedBody:
        given = [name for name in ("job", "group", "any_of") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give one of job, group and any_of")
        if given != ["group"] and (self.tolerate or self.pairwise):
            raise ValueError("tolerate and pairwise are for groups")
        if self.pairwise and self.tolerate:
            raise ValueError("pairwise needs one member, and so tolerates none")
        return self

    def need(self) -> NewNeed:
        """Return what the scheduler is asked for."""
        percent = isinstance(self.tolerate, str)
        return NewNeed(
            job=self.job,
            group=self.group,
            any_of=tuple(self.any_of or ()),
            after=NeedKind(self.after),
            allow_skipped=self.allow_skipped,
            tolerate=0 if percent else int(self.tolerate),
            tolerate_percent=float(str(self.tolerate).removesuffix("%")) if percent else 0.0,
            pairwise=self.pairwise,
        )


def _form(sent: object) -> str:
    return "full" if isinstance(sent, dict | NeedBody) else "named" if isinstance(sent, str) else "id"


AskedNeed = Annotated[
    Annotated[Id, Tag("id")] | Annotated[InBatch, Tag("named")] | Annotated[NeedBody, Tag("full")], Discriminator(_form)
]

NeedsList = Annotated[
    list[AskedNeed],
    Field(
        max_length=MOST_WRITTEN_OUT,
        description="what it waits for: jobs by id (after a good end), or needs in full; all have to be satisfied",
    ),
]


def new_needs(given: list[int | str | NeedBody]) -> list[NewNeed]:
    """Return the needs of a body in the scheduler's words."""
    return [one.need() if isinstance(one, NeedBody) else NewNeed(job=one) for one in given]


class NeedView(TypedDict):
    """A need of a job, and what has become of it."""

    job: Annotated[int | None, Field(description="null of a need for a group")]
    group: Annotated[int | None, Field(description="the id of a group, or of the alternatives of any_of")]
    group_name: str | None
    after: AfterWord
    any_member: Annotated[bool, Field(description="one member is enough")]
    tolerate: int
    allow_skipped: bool
    settled: Annotated[
        Literal["OK", "BROKEN", "UNNEEDED"] | None, Field(description="what its parent makes of it; null: it waits")
    ]
    status: NotRequired[Annotated[str | None, Field(description="where the job stands that it needs")]]
