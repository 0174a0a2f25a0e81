"""Shapes: the distinct combinations of requirements by which waiting jobs are grouped.

Placement treats two jobs of one shape alike except for their age. So it skips a shape that does not fit as a whole,
however many jobs wait under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from scheduler.identifiers import JobTypeId, ProjectId, ShapeId
from scheduler.rules.cluster.resources import Resources

NODE_LABEL = "node"
"""The label that every node has without declaring it: its own name."""


class ConstraintOperator(StrEnum):
    """How a constraint compares a node's label."""

    EQUAL = "="
    NOT_EQUAL = "!="
    IN = "in"
    NOT_IN = "not_in"
    EXISTS = "exists"
    ABSENT = "not_exists"
    LESS = "<"
    AT_MOST = "<="
    AT_LEAST = ">="
    MORE = ">"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition on a node's label. `value` is a tuple for IN and NOT_IN, and unused for EXISTS and ABSENT.

    The numeric comparisons read label and value as decimal numbers; a label that is missing or not a number fails
    them. NOT_EQUAL and NOT_IN hold for a node without the label.
    """

    label: str
    op: ConstraintOperator = ConstraintOperator.EQUAL
    value: str | tuple[str, ...] = ""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels satisfies the constraint."""
        return _holds(self.op, labels.get(self.label), self.value)

    def __str__(self) -> str:
        if self.op in {ConstraintOperator.EXISTS, ConstraintOperator.ABSENT}:
            return f"{self.label} {self.op}"
        value = self.value if isinstance(self.value, str) else "(" + ", ".join(self.value) + ")"
        return f"{self.label} {self.op} {value}"


@dataclass(frozen=True, slots=True)
class Preference:
    """A constraint that is preferred but not required. `weight` compares preferences; a negative one means dislike."""

    constraint: Constraint
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a group of waiting jobs asks for. A smaller `priority` goes first.

    `timeout_s` bounds the predicted run time (None: no limit). `count` > 1 makes each job a gang: that many members,
    each of `requires`, placed wholly or not at all. `apart` names a label: no two running executions of the same job
    type and project may share a value of it (NODE_LABEL: never two on a node). `spread` names a label over whose
    values they are evened out. `preemptible` allows the scheduler to stop the job for a more urgent one. Jobs with the
    same number as `serial` run one after the other: those that change one data set.
    """

    id: ShapeId
    requires: Resources
    constraints: tuple[Constraint, ...] = ()
    pool: str | None = None
    project_id: ProjectId = ProjectId(0)
    job_type_id: JobTypeId = JobTypeId(0)
    priority: int = 100
    timeout_s: float | None = None
    preferences: tuple[Preference, ...] = ()
    count: int = 1
    apart: str | None = None
    spread: str | None = None
    preemptible: bool = False
    serial: int | None = None


def _holds(op: ConstraintOperator, label: str | None, value: str | tuple[str, ...]) -> bool:
    values = (value,) if isinstance(value, str) else value
    match op:
        case ConstraintOperator.EXISTS | ConstraintOperator.ABSENT:
            return (label is not None) == (op is ConstraintOperator.EXISTS)
        case ConstraintOperator.EQUAL | ConstraintOperator.IN:
            return label is not None and label in values
        case ConstraintOperator.NOT_EQUAL | ConstraintOperator.NOT_IN:
            return label is None or label not in values
        case (
            ConstraintOperator.LESS | ConstraintOperator.AT_MOST | ConstraintOperator.AT_LEAST | ConstraintOperator.MORE
        ):
            return _compares(op, _number(label), _number(values[0] if values else None))
        case _:
            assert_never(op)


def _compares(op: ConstraintOperator, label: float | None, value: float | None) -> bool:
    if label is None or value is None:
        return False
    return {
        ConstraintOperator.LESS: label < value,
        ConstraintOperator.AT_MOST: label <= value,
        ConstraintOperator.AT_LEAST: label >= value,
        ConstraintOperator.MORE: label > value,
    }[op]


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number == number else None  # noqa: PLR0124 - NaN differs from itself and compares with nothing
