"""From an exception to one line for a person and the exit status for a script.

0 done    1 the job failed, or the answer is no    2 used or set up wrongly    3 the API cannot be reached
4 not found, or refused                            130 interrupted
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.errors import GangerError

FAILED, USAGE, UNREACHABLE, REFUSED = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a command says last, and how it ends."""

    line: str
    code: int


def verdict(error: Exception) -> Verdict | None:
    """Return what an expected failure means; None for one that is a defect and deserves its traceback."""
    if isinstance(error, GangerError):
        return Verdict(str(error), USAGE)
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return Verdict(f"{error.strerror or error}{where}", USAGE)
    return _of_client(error)


def _of_client(error: Exception) -> Verdict | None:
    from api import client  # noqa: PLC0415 - only who has failed needs to know

    if isinstance(error, client.Unreachable):
        return Verdict(f"{error}; is it running? `ganger up` starts one here", UNREACHABLE)
    if isinstance(error, client.Denied):
        return Verdict(f"{error} (--token or GANGER_TOKEN)", REFUSED)
    if isinstance(error, client.ServerTrouble):
        more = f" (request {error.request_id})" if error.request_id else ""
        return Verdict(f"{error}{more}", UNREACHABLE)
    if isinstance(error, client.Refused):
        return Verdict(str(error), REFUSED)
    if isinstance(error, client.ClientError):
        return Verdict(str(error), FAILED)
    return None
