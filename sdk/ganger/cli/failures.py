"""From an exception to one line for a person and the exit status for a script.

0 done    1 the job failed, or the answer is no    2 used or set up wrongly    3 the API cannot be reached
4 not found, or refused                            70 a fault of Ganger's own  130 interrupted
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ganger import errors

FAILED, USAGE, UNREACHABLE, REFUSED, FAULT, INTERRUPTED = 1, 2, 3, 4, 70, 130


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The last line of a command, and its exit status."""

    line: str
    code: int


def verdict(error: Exception) -> CommandResult | None:
    """Return the line and the exit status of an expected failure; None for a defect."""
    line, code = str(error), FAILED
    match error:
        case errors.UsageError():
            code = USAGE
        case errors.Unreachable():
            line, code = f"{error}; is it running? `ganger up` starts one here", UNREACHABLE
        case errors.Denied():
            line, code = f"{error} (--token or GANGER_TOKEN)", REFUSED
        case errors.ServerTrouble():
            line, code = line + (f" (request {error.request_id})" if error.request_id else ""), UNREACHABLE
        case errors.Refused():
            code = REFUSED
        case errors.ClientError():
            pass
        case UnicodeError():
            line, code = "there is text that is not UTF-8, or that holds half of a character", USAGE
        case OSError():
            line, code = (error.strerror or line) + (f" ({_shown(error.filename)})" if error.filename else ""), USAGE
        case _:
            return None
    return CommandResult(line, code)


def _shown(name: str | bytes | int) -> str:
    return os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
