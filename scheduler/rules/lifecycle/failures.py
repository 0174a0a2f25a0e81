"""The built-in errors: every way in which a try can fail, by name, and the reading of exit codes.

An error is data: a row with a name, a title, a category and `should_be_retried`. The built-in ones exist from the
start and cannot be edited. Operators add their own, and map exit codes to them in a job type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FailureCategory(StrEnum):
    """Whose fault it was: the platform's, the input's, or the program's own."""

    SYSTEM = "SYSTEM"
    DATA = "DATA"
    ALGORITHM = "ALGORITHM"


@dataclass(frozen=True, slots=True)
class FailureClass:
    """One named way to fail."""

    name: str
    title: str
    description: str
    category: FailureCategory

    @property
    def should_be_retried(self) -> bool:
        """Whether another try is made by default: only what is the platform's fault may well end otherwise."""
        return self.category is FailureCategory.SYSTEM


CATEGORIES = frozenset(FailureCategory)

STAGING = "staging"
CHECKSUM = "checksum"
UNKNOWN_EXIT = "unknown-exit"
SIGNALED = "signaled"
NODE_LOST = "node-lost"
UNKNOWN = "unknown"
INPUT_MISSING = "input-missing"
INPUT_REFUSED = "input-refused"
NEEDS_TIMEOUT = "needs-timeout"
REFUSED_DATA = "refused-data"
UNSOUND_RESULT = "unsound-result"

BUILT_IN: tuple[FailureClass, ...] = (
    FailureClass(UNKNOWN, "Unknown", "The node named an error that is not known here.", FailureCategory.SYSTEM),
    FailureClass(
        UNKNOWN_EXIT,
        "Program failed",
        "The program ended with an exit code that its job type does not map.",
        FailureCategory.ALGORITHM,
    ),
    FailureClass(
        SIGNALED,
        "Killed by a signal",
        "The program was ended by a signal that Ganger did not send.",
        FailureCategory.ALGORITHM,
    ),
    FailureClass("timeout", "Timeout", "The program ran longer than its time limit.", FailureCategory.ALGORITHM),
    FailureClass(
        "pre-timeout", "Timeout in pre", "Getting ready took longer than its time limit.", FailureCategory.SYSTEM
    ),
    FailureClass(
        "post-timeout", "Timeout in post", "Finishing took longer than its time limit.", FailureCategory.SYSTEM
    ),
    FailureClass(
        "pre-failed",
        "Pre-command failed",
        "The command of the pre phase ended with an error.",
        FailureCategory.ALGORITHM,
    ),
    FailureClass(
        "post-failed",
        "Post-command failed",
        "The command of the post phase ended with an error.",
        FailureCategory.ALGORITHM,
    ),
    FailureClass(
        "out-of-memory",
        "Out of memory",
        "The kernel ended a process for using more memory than asked for.",
        FailureCategory.ALGORITHM,
    ),
    FailureClass(
        "disk-full", "Disk full", "The disk of the node, or the room asked for, was full.", FailureCategory.SYSTEM
    ),
    FailureClass(STAGING, "Staging failed", "An input could not be brought to the node.", FailureCategory.SYSTEM),
    FailureClass(
        CHECKSUM,
        "Checksum mismatch",
        "An input arrived with other content than it was stored with.",
        FailureCategory.DATA,
    ),
    FailureClass(
        INPUT_MISSING,
        "Input never came",
        "An input that the job awaited was not uploaded, or not in time; or an output of another job that it takes is not there.",
        FailureCategory.DATA,
    ),
    FailureClass(
        NEEDS_TIMEOUT,
        "Needs not in time",
        "What the job needs did not end within the time that it bears to wait.",
        FailureCategory.DATA,
    ),
    FailureClass(
        INPUT_REFUSED,
        "Input refused",
        "An input was uploaded that is not as it was asked for: its size, checksum or media type.",
        FailureCategory.DATA,
    ),
    FailureClass("launch", "Launch failed", "The program could not be started at all.", FailureCategory.SYSTEM),
    FailureClass(
        "missing-output",
        "Missing output",
        "The program ended well, but a required output is not there.",
        FailureCategory.ALGORITHM,
    ),
    FailureClass(
        "invalid-output", "Invalid output", "An output is not what the interface says.", FailureCategory.ALGORITHM
    ),
    FailureClass(
        REFUSED_DATA,
        "Refused data",
        "The data that was uploaded is not what the job takes; its message says where.",
        FailureCategory.DATA,
    ),
    FailureClass(
        UNSOUND_RESULT,
        "Unsound result",
        "The program ended well, but its result is not what its type declares.",
        FailureCategory.SYSTEM,
    ),
    FailureClass(
        "supervisor-lost",
        "Supervisor lost",
        "The process that watched the program died; the program was killed.",
        FailureCategory.SYSTEM,
    ),
    FailureClass(
        NODE_LOST,
        "Node lost",
        "The node fell silent for the whole lease, or stopped its work for that reason.",
        FailureCategory.SYSTEM,
    ),
)

BUILT_IN_NAMES: frozenset[str] = frozenset(failure.name for failure in BUILT_IN)


def name_of(
    reported: str | None,
    *,
    exit_code: int | None,
    signal: int | None,
    mapped: Mapping[str, str],
    known: frozenset[str],
) -> str:
    """Return the name of the error with which a failed try ended.

    A name that the node reports comes first. Without one, the exit code is looked up in the job type's mapping
    (`{"3": "bad-data"}`); a code that is not mapped is `unknown-exit`. Names that are not in `known` become
    `unknown`.
    """
    if reported is None:
        reported = SIGNALED if exit_code is None and signal is not None else mapped.get(str(exit_code), UNKNOWN_EXIT)
    return reported if reported in known else UNKNOWN
