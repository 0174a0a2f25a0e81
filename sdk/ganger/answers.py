"""The types of answers that the client hands out as they came: plain dictionaries, with the fields that this release's API sends.

Times are texts as in JSON. A server of another release may send more fields, or fewer. Made from the API's own description by
`python -m tests.support.generated`; change it there.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class HelpView(TypedDict):
    """Something to do about a job that blocks others: a word to branch on, and a sentence."""

    description: str
    verb: str


class NodeName(TypedDict):
    """A node."""

    id: int
    name: str


class BorrowedView(TypedDict):
    """A job of an earlier run whose result a job of a rerun has; of a step that was several, the last of them."""

    description: str
    job: int
    status: str
    step: str
    workflow: int


class BucketView(TypedDict):
    """How many runs needed at most so much memory, and more than the one before."""

    count: int
    up_to_mib: float


class ChangeView(TypedDict):
    """One thing to change: a word to branch on, what it is about, the new value (units, a time, a number), and a sentence."""

    description: str
    fix: Literal[
        "add-nodes",
        "ask-for-fewer-members",
        "ask-for-less-of",
        "bring-back-the-node",
        "clear-the-launch-failures-of-the-node",
        "do-not-ask-for-the-pool",
        "do-not-keep-apart-by",
        "drop-the-constraint",
        "raise-the-job-types-limit-to",
        "raise-the-projects-quota-of",
        "release-the-hold",
        "resume-the-job-type",
        "resume-the-node",
        "resume-the-pool",
        "resume-the-project",
        "resume-the-scheduler",
        "set-a-shorter-timeout",
        "stop-draining-the-node",
        "wait-for-the-end-of-job",
        "wait-until",
    ]
    subject: str
    to: float | str | None


class CheckFinding(TypedDict):
    """Something a check found; `name` is the field."""

    description: str
    name: str


class CpuUsageView(TypedDict):
    """Cpus that runs used on average and asked for, and reserved cpu hours by what came of them."""

    asked: float | None
    hours: dict[str, float]  # Useful, idle, failed, stopped.
    used: dict[str, float]


class Dependency(TypedDict):
    """A server that Ganger needs, as seen from this process."""

    detail: str | None
    latency_ms: float | None
    ok: bool


class NodeFailures(TypedDict):
    """How many nodes there are, could take the job at once, fail for each reason, and are short of each resource."""

    failing: dict[str, int]
    short_of: dict[str, int]
    total: int
    unmet: dict[str, int]  # How many nodes fail each of the job's constraints.
    usable: int


class PlaceInQueue(TypedDict):
    """The job's place in the queue: `position` among the jobs that ask for the same (null: it is not in the queue), and `ahead`, how many jobs of all kinds go before it by priority and age."""

    ahead: int
    position: int | None


class ReasonView(TypedDict):
    """One reason why a job waits: a word to branch on, a sentence, and the number of nodes that it holds for."""

    description: str
    kind: Literal[
        "another-job-changes-the-data-set",
        "awaiting-upload",
        "behind-others",
        "being-stopped",
        "blocked",
        "constraint",
        "held",
        "job-type-limit",
        "job-type-paused",
        "kept-apart",
        "kept-for-another-job",
        "needs",
        "never-fits",
        "next-tick",
        "no-nodes",
        "no-room-now",
        "node-draining",
        "node-fails-to-launch",
        "node-not-ready",
        "node-paused",
        "node-too-small",
        "not-before",
        "not-room-for-all-members-at-once",
        "other-pool",
        "other-project",
        "pool-paused",
        "project-paused",
        "project-quota",
        "room-being-cleared",
        "scheduler-paused",
    ]
    nodes: int | None  # Null where it is not about nodes.


class ShareView(TypedDict):
    """The part of the fleet that the job's project holds, and how many waiting projects go before it."""

    project: str
    projects_ahead: int
    share: float


class StartView(TypedDict):
    """The earliest and the latest time at which the job will probably start; null where that cannot be said."""

    earliest: str | None
    latest: str | None


class JobCounts(TypedDict):
    """Jobs the caller may see, by status; those that ended, in the last three hours."""

    blocked: int
    canceled: int
    completed: int
    failed: int
    held: int
    oldest_queued_s: float | None
    pending: int
    pending_upload: int
    queued: int
    running: int


class JobGroupView(TypedDict):
    """The jobs that have one value, null for those that have none."""

    count: int
    count_exact: bool  # False: of the first 10,000 that match.
    value: str | None


class Leader(TypedDict):
    """The scheduler process that leads, and when it was last heard of."""

    age_s: float  # Seconds since its last sign of life.
    holder: str
    last_beat: str
    term: int


class LogIndexView(TypedDict):
    """Where lines begin: `offsets[n]` is the byte at which line n x `every` begins, counted from 0; with `skip` n begins there."""

    every: int
    execution_id: int
    is_complete: bool  # False: there is more already; ask again.
    is_finished: bool
    lines: int  # That are ended by a newline.
    offsets: list[int]
    phase: str | None
    size_bytes: int
    stream: str
    times: list[str]  # When what begins there was printed, by the node's clock.


class LogView(TypedDict):
    """Output from `offset` on. `next_offset` is where to go on; nothing will follow once `is_finished`."""

    execution_id: int
    is_finished: bool
    next_offset: int
    offset: int
    phase: str | None
    stderr_lines: list[
        list[Any]
    ]  # The lines of `text` that standard error has a part in: first and last of each run, from 0.
    stream: str
    text: str


class LoginCode(TypedDict):
    """The code, shown this once, and the page that takes it."""

    code: str
    url: str  # The page with the code in its fragment, which no server ever logs.
    valid_s: int


class MeView(TypedDict):
    """Whoever asks: the name, the rights and the end of the token, and what is given to this caller."""

    expires: str | None
    name: str
    organization: str  # This installation, in the block model and compute API.
    project: str | None  # The only project that the token reaches; null is every project.
    role: Literal["viewer", "submitter", "operator", "admin"]
    token_id: int
    workspace: str | None  # The project there; null is every project.


class NodeCounts(TypedDict):
    """Nodes by state."""

    by_state: dict[str, int]
    total: int


class PoolEvent(TypedDict):
    """Something that happened to a pool."""

    actor: str
    at: str
    detail: dict[str, Any]
    event: str
    id: int
    reason: str | None


class PoolNodes(TypedDict):
    """Nodes of the pool that are there: all, those that take work, those that finish theirs, those that fell silent."""

    draining: int
    ready: int
    silent: int
    total: int


class PoolStanding(TypedDict):
    """A pool: nodes by state, and what those that can be reached have. Memory and disk in MiB."""

    free: dict[str, float]
    name: str
    nodes: dict[str, int]
    scheduled: dict[str, float]
    total: dict[str, float]


class RefusalView(TypedDict):
    """The problem that the submission itself would be answered with."""

    description: str
    field: str | None


class RunInShort(TypedDict):
    """One of the latest runs."""

    ended: str
    peak_mem_mib: float | None
    run_s: float | None
    status: str


class SearchResult(TypedDict):
    """Something that was found, and where it is."""

    detail: str | None
    id: str  # By which it is asked for: an id, the name of a pool or project.
    kind: Literal["job", "type", "node", "pool", "project"]
    name: str


class SessionView(TypedDict):
    """A browser that signed in with the caller's token."""

    browser: str
    created: str
    ends: str  # In any case; earlier when it is not used, or the token ends.
    id: int
    seen: str  # To the minute.


class UsageAmounts(TypedDict):
    """Cpus, and MiB of memory and disk; null is not known, or nothing was asked for."""

    cpus: float | None
    disk: float | None
    mem: float | None


class UsagePointView(TypedDict):
    """What was used at a moment: cpus on average since the point before, memory with cached files as its limit counts it, and disk."""

    cpus: float | None
    disk: float | None
    mem: float | None
    seconds: float  # Since the execution's start.
    time: str


class WaitSpanView(TypedDict):
    """A stretch of time in which a job waited for one reason; `ended` is null while it does."""

    began: str
    description: str
    ended: str | None
    reason: Literal[
        "another-job-changes-the-data-set",
        "awaiting-upload",
        "behind-others",
        "being-stopped",
        "blocked",
        "constraint",
        "held",
        "job-type-limit",
        "job-type-paused",
        "kept-apart",
        "kept-for-another-job",
        "needs",
        "never-fits",
        "next-tick",
        "no-nodes",
        "no-room-now",
        "node-draining",
        "node-fails-to-launch",
        "node-not-ready",
        "node-paused",
        "node-too-small",
        "not-before",
        "not-room-for-all-members-at-once",
        "other-pool",
        "other-project",
        "pool-paused",
        "project-paused",
        "project-quota",
        "room-being-cleared",
        "scheduler-paused",
        "starting",
        "unrecorded",
    ]
    seconds: float


class WaitTotalView(TypedDict):
    """How long a job waited for one reason altogether."""

    description: str
    reason: Literal[
        "another-job-changes-the-data-set",
        "awaiting-upload",
        "behind-others",
        "being-stopped",
        "blocked",
        "constraint",
        "held",
        "job-type-limit",
        "job-type-paused",
        "kept-apart",
        "kept-for-another-job",
        "needs",
        "never-fits",
        "next-tick",
        "no-nodes",
        "no-room-now",
        "node-draining",
        "node-fails-to-launch",
        "node-not-ready",
        "node-paused",
        "node-too-small",
        "not-before",
        "not-room-for-all-members-at-once",
        "other-pool",
        "other-project",
        "pool-paused",
        "project-paused",
        "project-quota",
        "room-being-cleared",
        "scheduler-paused",
        "starting",
        "unrecorded",
    ]
    seconds: float


class BlockingJob(TypedDict):
    """The job at the root of what blocks another, so many steps before it; how it stands, and what helps."""

    error: str | None
    helps: list[HelpView]
    job: NodeName
    message: str | None
    status: str
    steps: int


class MemberView(TypedDict):
    """One member of a gang, and where it was placed."""

    job_exe: dict[str, Any]
    member: int
    node: NodeName


class NearestView(TypedDict):
    """The node that comes closest, and what is missing there, in cpus, MiB and pieces."""

    description: str
    missing: dict[str, float]
    node: NodeName | None  # Null: a new node of a pool.
    reasons: list[
        Literal[
            "another-job-changes-the-data-set",
            "awaiting-upload",
            "behind-others",
            "being-stopped",
            "blocked",
            "constraint",
            "held",
            "job-type-limit",
            "job-type-paused",
            "kept-apart",
            "kept-for-another-job",
            "needs",
            "never-fits",
            "next-tick",
            "no-nodes",
            "no-room-now",
            "node-draining",
            "node-fails-to-launch",
            "node-not-ready",
            "node-paused",
            "node-too-small",
            "not-before",
            "not-room-for-all-members-at-once",
            "other-pool",
            "other-project",
            "pool-paused",
            "project-paused",
            "project-quota",
            "room-being-cleared",
            "scheduler-paused",
        ]
    ]


class ReservationView(TypedDict):
    """The room that is kept for the job, and the time from which it has it."""

    nodes: list[NodeName]
    start: str | None


class MemoryUsageView(TypedDict):
    """What runs that completed needed, what the latest asked for, and what would do; MiB."""

    asked: float | None
    histogram: list[BucketView]
    suggested: float | None  # With a fifth to spare; null where that is not much less.
    used: dict[str, float]


class CheckAnswer(TypedDict):
    """The findings of a dry run."""

    errors: list[CheckFinding]
    is_valid: bool
    warnings: list[CheckFinding]


class Dependencies(TypedDict):
    """The servers that Ganger needs. Without the broker nodes hear of their work later, nothing else."""

    broker: Dependency
    database: Dependency


class JobGroupList(TypedDict):
    """Groups of jobs, the largest first, at most 100."""

    group_by: str
    results: list[JobGroupView]


class SchedulerView(TypedDict):
    """The scheduler: what operators have set, and whether it is alive. `waiting_by_reason` only with a token for all."""

    is_paused: bool
    leader: Leader | None
    pause_reason: str | None
    preemption: bool  # Whether more urgent jobs may take the room of preemptible ones.
    queue_mode: Literal["FIFO", "LIFO"]
    reservations: int  # For how many jobs that cannot start yet room is kept at most.
    state: Literal["READY", "PAUSED", "STALE", "MISSING"]
    tick_ms: float | None
    waiting_by_reason: dict[str, int] | None  # Queued jobs by what keeps them first of all.


class PoolView(TypedDict):
    """A pool. `wanted` to `unmet` are the scheduler's last decision; null and empty while nobody scales the pool."""

    created: str
    decided: str | None
    drivers: list[dict[str, Any]]
    hopeless: int
    is_paused: bool
    labels: dict[str, str]
    last_modified: str
    max: int | None
    min: int
    name: str
    nodes: PoolNodes
    pause_reason: str | None
    present: int | None
    resources: dict[str, dict[str, float]]
    running: int
    settings: dict[str, Any]
    size: int
    sizing: str
    starting: int
    template: dict[str, float] | None
    trouble: str | None
    unmet: int
    wanted: int | None
    why: str | None


class SearchResults(TypedDict):
    """At most eight of each kind."""

    results: list[SearchResult]


class SessionList(TypedDict):
    """The caller's sessions, the last used first."""

    results: list[SessionView]


class UsageView(TypedDict):
    """What an execution used while it ran, beside what it asked for, which its node holds it to as far as it can."""

    asked: UsageAmounts
    attempt: int
    every: float  # Seconds that one point stands for: at first 10, doubled as often as there would be more than 500.
    execution_id: int
    member: int
    message: str | None  # Why there are no points, where there are none.
    peak: UsageAmounts  # Of all points, and of what was measured when its phases ended.
    points: list[UsagePointView]


class WaitHistoryView(TypedDict):
    """Where the wait of a job went. Reasons are recorded about once a second, and true to a hundredth of the wait."""

    is_cut: bool  # The beginning is left out of `results`.
    results: list[WaitSpanView]  # Oldest first; the newest 500.
    totals: list[WaitTotalView]  # By reason, the longest first.
    waited_s: float  # Seconds of all stretches together.


class NeverView(TypedDict):
    """Why no node and no pool could ever hold the job."""

    description: str
    failing: dict[str, int]
    nearest: NearestView | None


class TypeStatisticsView(TypedDict):
    """Figures of a type's latest tries, at most 5,000, of the caller's projects. Quantiles are by `0.5` to `0.99`."""

    by_error: dict[str, int]
    by_status: dict[str, int]
    cpus: CpuUsageView
    latest: list[RunInShort]
    memory: MemoryUsageView
    run_s: dict[str, float]
    runs: int
    since: str
    wait_s: dict[str, float]


class StatusView(TypedDict):
    """How the installation stands. 503 with the same body when no scheduler leads."""

    dependencies: Dependencies
    executions: dict[str, int]  # Placed and not yet released; of these running.
    jobs: JobCounts
    nodes: NodeCounts
    pools: list[PoolStanding]
    resources: dict[str, dict[str, float]]  # Total, scheduled and free over all pools.
    scheduler: SchedulerView
    timestamp: str
    version: str
    warnings: list[str]


class Explanation(TypedDict):
    """Why a job stands where it stands."""

    ahead: int | None  # Jobs that ask for the same and were queued before.
    blocked_by: BlockingJob | None  # Of a BLOCKED job: the one at the root of it.
    borrowed: list[BorrowedView]  # Of a job of a rerun: what it has of the run before.
    changes: list[ChangeView]  # Made together they let it start; any one left out would not.
    expected_start: StartView | None
    failure: dict[str, Any] | None
    job_id: int
    members: list[MemberView]  # Of a gang's newest attempt; empty for a job of one.
    nearest: NearestView | None
    never_fits: NeverView | None
    nodes: NodeFailures | None
    placement: dict[str, Any] | None
    queue: PlaceInQueue | None
    reasons: list[ReasonView]  # All of them, the most telling first.
    reservation: ReservationView | None
    reuse: str | None  # Whose results it has, or why none were reused; null where that is off.
    share: ShareView | None
    status: str
    summary: str
    tries: dict[str, int]


class TriedView(TypedDict):
    """The next tick's treatment of one job of a dry run: `start` it on a node, let it `wait`, or `make-room` for it. Or `refuse`: a strict submission of all of them would be refused."""

    changes: list[ChangeView]  # Made together they let it start; any one left out would not.
    entry: int
    expected_start: StartView | None
    nearest: NearestView | None
    never_fits: NeverView | None
    node: NodeName | None  # Of a gang: the node of its member 0.
    nodes: NodeFailures | None
    nodes_of_members: list[NodeName]  # The node of each member in turn; empty where it would wait.
    queue: PlaceInQueue | None
    reasons: list[ReasonView]  # All of them, the most telling first.
    refusal: RefusalView | None  # Null where it would be taken.
    reservation: ReservationView | None
    share: ShareView | None
    stops: list[int]  # Jobs of which executions would be stopped to make room for it.
    summary: str
    why: str | None
    would: Literal["start", "wait", "make-room", "refuse"]
