"""Explanations in words: sentences without the first capital letter and the full stop.

Amounts are given in whole units, cpus and MiB. Names, and the reasons that operators gave, come from the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.explain.answer import Blocker, Explanation, Fix, FixKind, NearestNode, NoFittingNode

Amount = float | str


@dataclass(frozen=True, slots=True)
class ReasonNames:
    """The names of things where the job waits, and why operators paused them (by the reason of the wait)."""

    project: str = "default"
    job_type: str = ""
    pauses: Mapping[Reason, str | None] = field(default_factory=dict)
    next_try: bool = False
    """Whether the time to come is that of another try."""


def slug(word: str) -> str:
    """Return a reason or fix as a stable word to branch on."""
    return word.replace("'", "").replace(" ", "-")


def blocker(found: Blocker, names: ReasonNames) -> str:
    """Return what about the job itself stops it."""
    paused = {
        Reason.SCHEDULER_PAUSED: "the scheduler",
        Reason.PROJECT_PAUSED: f"the project {names.project}",
        Reason.TYPE_PAUSED: f"the job type {names.job_type}",
    }
    if found.reason in paused:
        return _paused(paused[found.reason], found.reason, names)
    match found.reason:
        case Reason.HELD:
            return f"it is held: {found.detail}"
        case Reason.NOT_BEFORE:
            return f"{'its next try' if names.next_try else 'its time'} comes at {moment(float(found.detail))}"
        case Reason.DATA_SET:
            return f"job {found.detail} changes the same data set, and such jobs run one after the other"
        case Reason.TYPE_LIMIT:
            used, _, most = found.detail.partition(" of ")
            return f"{used} jobs of its type are scheduled, and {most} may be"
        case _:
            return _quota(found.detail, names)


def nodes(reason: Reason, count: int, told: Explanation, of: int) -> str:
    """Return why some of the nodes cannot take it."""
    some = f"{count} of {of} nodes" if of > 1 else "the only node"
    one = count == 1
    if reason is Reason.NO_ROOM:
        short = ", ".join(f"{name} on {number}" for name, number in told.short_of.items())
        return f"{some} {'has' if one else 'have'} no room for it now" + (f" (short of {short})" if short else "")
    singular, plural = _NODE_WORDS[reason]
    which = ""
    if reason is Reason.CONSTRAINT:
        which = f" ({', '.join(f'{constraint} on {number}' for constraint, number in told.unmet.items())})"
    return f"{some} {singular if one else plural}{which}"


def behind_others(told: Explanation) -> str:
    """Return what a job waits for that could start if it were alone."""
    if told.main is Reason.NEXT:
        return "it is about to be placed"
    if told.project_rank:
        return f"there is room for it, but jobs of {_count(told.project_rank, 'project')} with a smaller share go first"
    if told.ahead:
        return f"there is room for it, but {_count(told.ahead, 'job')} before it {'go' if told.ahead > 1 else 'goes'} first"
    return "there is room for it, but others are placed first this time"


def gang(told: Explanation) -> str:
    """Return why the members of a gang cannot start although there is room for some."""
    return f"it needs {told.wanted} places at once; {told.fitting} {'is' if told.fitting == 1 else 'are'} free"


def never_fits(found: NoFittingNode, pool: str | None) -> str:
    """Return why no node could ever take a job."""
    where = f" of the pool {pool}" if pool is not None else ""
    if found.fitting:
        those = f"{where} that there are or may be" if found.growing else where
        return f"it needs {found.wanted} places at once, and all nodes{those} together have {found.fitting}, even empty"
    if found.nearest is None:
        return f"there is no node{where}, and no pool that would start one"
    if Reason.TOO_SMALL not in found.nearest.reasons:
        said = {**_NODE_WORDS, Reason.OTHER_POOL: (f"is not in the pool {pool}", f"are not in the pool {pool}")}
        counts = ", ".join(f"{count} {said[reason][count != 1]}" for reason, count in found.nodes.items())
        return f"no node is what it asks for: {counts}"
    return f"it asks for more than any node{where} has, so it cannot be placed" + _missing(
        found.nearest, "even empty, "
    )


def none_yet(pool: str | None) -> str:
    """Return why a job waits if no node at the moment gives a reason, because there is none."""
    where = f" of the pool {pool}" if pool is not None else ""
    return f"there is no node{where} now; one that could take it may come back or be started"


def fix(found: Fix, names: ReasonNames) -> str:
    """Return what to do, as an order."""
    subject, to = found.subject, found.to or 0.0
    match found.kind:
        case FixKind.RAISE_QUOTA:
            most = _amount(subject, to) if subject != "jobs" else _count(int(to), "execution")
            return f"raise the quota of the project {names.project} to {most}"
        case FixKind.ASK_LESS:
            return f"ask for {'at most ' + _amount(subject, to) if to else 'no ' + subject}"
        case FixKind.ADD_NODE:
            return f"add {'a node' if to == 1 else f'{to:g} nodes'} with {subject or 'any room at all'} free"
        case FixKind.WAIT_UNTIL:
            return f"wait until {moment(to)}"
        case _:
            own = {
                FixKind.RELEASE_HOLD: "release it",
                FixKind.RESUME_PROJECT: f"{found.kind} {names.project}",
                FixKind.RESUME_TYPE: f"{found.kind} {names.job_type}",
                FixKind.RAISE_TYPE_LIMIT: f"let {to:g} jobs of the type {names.job_type} be scheduled at a time",
                FixKind.CLEAR_FAILURES: f"{found.kind} {subject} (ganger resume {subject})",
                FixKind.ASK_FEWER: f"ask for at most {_count(int(to), 'member')}",
                FixKind.SHORTER_TIMEOUT: f"set a timeout of at most {to:g} s",
            }
            return own.get(found.kind, f"{found.kind} {subject}".rstrip())


def nearest_node(found: NearestNode) -> str:
    """Return which node comes closest, and what is wrong there."""
    what = ", ".join(_NODE_WORDS[reason][0] if reason in _NODE_WORDS else str(reason) for reason in found.reasons)
    return f"{found.name or 'a new node'} comes closest: it {what or 'would do'}" + _missing(found)


def moment(at: float) -> str:
    """Return a time as people and programs read it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


_NODE_WORDS: dict[Reason, tuple[str, str]] = {
    Reason.NODE_NOT_READY: ("is not ready", "are not ready"),
    Reason.NODE_PAUSED: ("is paused", "are paused"),
    Reason.NODE_DRAINING: ("is draining", "are draining"),
    Reason.NODE_FAILING: ("has failed to start jobs of late", "have failed to start jobs of late"),
    Reason.POOL_PAUSED: ("is in a paused pool", "are in paused pools"),
    Reason.OTHER_POOL: ("is in another pool", "are in other pools"),
    Reason.OTHER_PROJECT: ("serves other projects only", "serve other projects only"),
    Reason.CONSTRAINT: ("does not meet its constraints", "do not meet its constraints"),
    Reason.TOO_SMALL: ("is too small for it, even empty", "are too small for it, even empty"),
    Reason.APART: (
        "has one of its kind, from which it is kept apart",
        "have one of its kind, from which it is kept apart",
    ),
    Reason.NO_ROOM: ("has no room now", "have no room now"),
    Reason.RESERVED: ("has room that is kept for another job", "have room that is kept for another job"),
    Reason.GANG: ("has room for some of its members only", "have room for some of its members only"),
}


def _paused(what: str, reason: Reason, names: ReasonNames) -> str:
    why = names.pauses.get(reason)
    return f"{what} is paused" + (f": {why}" if why else "")


def _quota(detail: str, names: ReasonNames) -> str:
    name, _, rest = detail.partition(": ")
    used, _, most = rest.partition(" of ")
    what = "executions" if name == "jobs" else name
    return (
        f"the project {names.project} holds {used} of the {most} {what} that its quota allows, and this would be more"
    )


def _missing(found: NearestNode, when: str = "") -> str:
    lacks = " and ".join(_amount(name, amount) for name, amount in found.missing.items())
    return f"; {when}{found.name or 'a new node'} lacks {lacks}" if lacks else ""


def _amount(name: str, thousandths: float) -> str:
    whole = f"{thousandths / 1000:.12g}"
    if name in {"mem", "disk"}:
        return f"{whole} MiB of {name}"
    return "1 cpu" if (whole, name) == ("1", "cpus") else f"{whole} {name}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
