"""Why a run is over: the words of the supervisor's `ended` events and of its journal. They may be added to, not changed."""

from enum import StrEnum


class EndReason(StrEnum):
    """Why a run is over. The first reason given stays."""

    EXIT = "exit"
    """The program ended by itself; exit code or signal say how."""
    TIMEOUT = "timeout"
    """It ran longer than its time limit."""
    DISK_FULL = "disk_full"
    """It held more disk than it may, or failed on a full disk."""
    FENCED = "fenced"
    """No heartbeat was sent for too long."""
    LAUNCH = "launch"
    """It could not be started."""
    SUPERVISOR_LOST = "supervisor_lost"
    """The supervisor that had started it is dead, and with it the knowledge of how it ended."""
    KILLED = "killed"
    """Somebody asked for it. In events a colon and the asker's own word follow."""


def killed(word: str) -> str:
    """Return the reason of a run that somebody asked to be killed, with that asker's word."""
    return f"{EndReason.KILLED}:{word}"


def read(text: str) -> EndReason:
    """Return the reason that the text of an event names; of a later release's words only the exit status is known."""
    try:
        return EndReason(text.partition(":")[0])
    except ValueError:
        return EndReason.EXIT
