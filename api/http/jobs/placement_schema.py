"""Where a program may and should run: constraints, preferences, apart from its kind or spread out, and whether it gives way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NotRequired, cast

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from api.http.schema.fields import LEFT_OUT, Body, DocumentBody, Title
from scheduler.documents import ConstraintDocument
from scheduler.rules.cluster.shapes import ConstraintOperator
from scheduler.rules.job_type.definition import Definition

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
LabelValue = Annotated[Title, StringConstraints(max_length=256)]
OpWord = Literal["=", "!=", "in", "not_in", "exists", "not_exists", ">", "<", ">=", "<="]
assert set(OpWord.__args__) == set(ConstraintOperator)  # type: ignore[attr-defined]  # noqa: S101

_LISTS = {ConstraintOperator.IN, ConstraintOperator.NOT_IN}
_NUMBERS = {ConstraintOperator.LESS, ConstraintOperator.MORE, ConstraintOperator.AT_LEAST, ConstraintOperator.AT_MOST}


class ConstraintBody(DocumentBody):
    """A condition on a label of the node. `value` is a list for in and not_in, and left out for exists and not_exists.

    The comparisons by size take a number, as a number or as a string.
    """

    label: LabelKey
    op: OpWord = "="
    value: LabelValue | int | float | Annotated[list[LabelValue], Field(min_length=1, max_length=100)] = LEFT_OUT

    @model_validator(mode="after")
    def _value_fits(self) -> ConstraintBody:
        op = ConstraintOperator(self.op)
        if op in {ConstraintOperator.EXISTS, ConstraintOperator.ABSENT}:
            if self.value is not None:
                raise ValueError(f"{op} takes no value")
        elif op in _NUMBERS:
            if not _is_number(self.value):
                raise ValueError(f"{op} takes a number as value")
        elif not isinstance(self.value, list if op in _LISTS else str):
            raise ValueError(f"{op} takes {'a list of strings' if op in _LISTS else 'a string'} as value")
        return self

    def document(self) -> ConstraintDocument:
        """Return the stored form."""
        value = "" if self.value is None else self.value
        return {"label": self.label, "op": self.op, "value": value if isinstance(value, str | list) else str(value)}


class PreferenceBody(ConstraintBody):
    """A constraint that is liked rather than needed. Weights compare preferences; a negative weight is a dislike."""

    weight: Annotated[float, Field(ge=-1_000, le=1_000)] = 1.0

    def document(self) -> ConstraintDocument:
        """Return the stored form."""
        return {**super().document(), "weight": self.weight}


class PlacingFields(Body):
    """The nodes that a job type would like; a job may say otherwise for itself."""

    preferences: Annotated[list[PreferenceBody], Field(max_length=50)] = LEFT_OUT
    apart: LabelKey | None = Field(
        default=None,
        description="label of which no two running jobs of this type and project share a value; node: the node",
    )
    spread: LabelKey | None = Field(default=None, description="label over whose values such jobs are evened out")
    preemptible: bool = Field(
        default=LEFT_OUT, description="more urgent jobs may take its room, where that is switched on"
    )


class ConstraintView(TypedDict):
    """A condition on a label of the node."""

    label: str
    op: str
    value: NotRequired[str | list[str]]


class PreferenceView(ConstraintView):
    """A constraint that is liked rather than needed."""

    weight: NotRequired[float]


class PlacementView(TypedDict):
    """Where a program may and should run, in the answers that show it."""

    preferences: Sequence[PreferenceView]
    apart: str | None
    spread: str | None
    preemptible: bool


def shown(definition: Definition) -> PlacementView:
    """Return where a program should run, as the API shows it."""
    return {
        "preferences": [cast("PreferenceView", one) for one in definition.preferences],
        "apart": definition.apart,
        "spread": definition.spread,
        "preemptible": definition.preemptible,
    }


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float | str):
        return False
    try:
        number = float(value)
    except ValueError:
        return False
    return number == number and abs(number) != float("inf")  # noqa: PLR0124 - NaN differs from itself
