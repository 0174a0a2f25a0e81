"""Ganger's server side: it decides and remembers. The glossary of the whole project follows.

A word means one thing, and a thing has one word. The words are those of the field (Slurm, Nomad, Kueue, River) wherever
it has one. Code, documents and messages use them. A house test compares the names of all public classes with the
glossary, so a new word comes here first.

Work
    job              a piece of work that a user submits: a type or a command, data, requirements, and a status
    job type         a named, versioned template of jobs: definition, interface, limits
    revision         one state of a job type; a job keeps the revision that it was made with
    definition       the content of a revision: command, interface, requirements, limits, failures
    interface        the inputs that a job type takes and the outputs that it promises
    input, output    a named value or file that goes into a job, or comes out of it
    program          the executable that a job runs, with its options: a command, Python, or a container
    label            a key and a value that users give jobs, or that nodes have
    execution        one try of a job on one node, or of one member of a gang
    attempt          the fencing number of a placement of a job: it grows with each, and is never used again
    try              a charged start; a job fails when its tries are used up
    phase            pre (prepares), job (the program), post (follows it up), cleanup (runs in any case)
    outcome          how a try ended: completed, failed, canceled, returned, unstarted, withdrawn, lost
    failure class    a named way to fail, with its category and whether it is repeated; named error: an operator's own
    oom              out of memory: a try that needed more memory than its limit
    backoff          the wait before another try
    gang             a job whose members start together or not at all
    member           one of a gang's executions
    submission       jobs that are handed in together, all or none; batch: the jobs of one request
    admission        the check at submission whether any node could ever run a job
    cancel           end a job for good
    hold             keep a job from being placed until it is released
    requeue          start a new round of a job that has ended
    need             what a job waits for: an end of another job, or of a group; parent: the job that is needed; verdict: what
                     becomes of a job by all of its needs; resolver: the leader's work of settling and judging; culprit: the
                     job whose end blocks others
    workflow         jobs that belong together and are run as one; wire: an output of one that is an input of another; supply:
                     handing it over
    reuse            a job is done with the results of another that did the same: its key is equal
    move             a permitted step of a job or an execution from one status to another
    event            something that happened to a job, a pool, or a node; audit: what a person did
    schedule, cron   what makes jobs by itself; time: when it is due; firing: what became of one; overlap: a run is due while one is live;
                     backfill of a schedule: runs for times that are past; catch up: make a run that was missed
    operation        a bulk action on all jobs that match a filter, done in chunks
    retention        how long what has ended is kept; due: kept no longer, from its cutoff on; purge: its deletion
    sweep            the leader's walk over all projects that purges what is due; gone: what was purged; deletion: a user's wish that something go
    pin              a user's word that a job is kept whatever the limits say
    upload           a file on its way from a user; block, await: a part of one that comes by itself, and a job's wait for it

Who
    project          a tenant: owns jobs, files, secrets, tokens; has a weight and a quota
    token            the credential of a user (with a role) or of a node
    role             viewer, submitter, operator, admin
    caller           the user or node that sends a request, recognised by a token
    session          a browser that has signed in; login: how it does, with a token or a one-time code
    secret           a value of a project that jobs get as a file; keyring: the keys that seal and open secrets
    workspace        a place where files are stored; data set, block model: columns of a project that jobs change, version by version

Machines
    node             the resources of one machine, run by one agent
    agent            the process that runs a node; supervisor: the process that holds the process trees
    consumer         the node's Celery worker, which passes messages on to the agent
    broker           the Redis or Valkey that carries messages; each node has a user of its own there
    epoch            a generation of a node: another boot, another disk or a declared loss begins a new one
    heartbeat        the message that a node sends every few seconds, and the answer to it; short: beat
    lease            how long a node may be silent before its executions are taken from it
    claim            a node takes an execution: a compare-and-set that charges the try, unless it is ahead
    ahead            placed on a node beyond its room, and started there when some frees; recall: taking that back
    exchange         one call of a node with ends, starts and claims, and its answer
    room             what of a node's resources is free, or held
    report           a node's message about the end of an execution, repeated until it is acknowledged
    registration     the first call of a node's life
    withdrawal       taking back a placement that no node has claimed yet
    drain            a node finishes what it runs and leaves
    pool             a set of nodes that are scaled together; template: the resources of its new nodes
    driver           starts and stops the nodes of a pool; instance: one such node as its driver sees it
    autoscaler       decides the sizes of pools from demand and supply
    size             the number of nodes of a pool; scaling: changing it
    resources        amounts of cpus, memory, disk and custom resources, as thousandths in exact integers
    amount           a quantity of one resource; usage: the amounts that are in use
    slot             a user id and devices that one execution has to itself
    device           a piece of hardware that a slot names; short: gpu

Placement
    cluster state    a process's copy of queue, nodes and running executions, kept up to date by reading changes
    snapshot         the values that one plan is made from
    plan             the decisions of one tick: placements, reservations, preemptions, refusals
    tick             one turn of the leader: read changes, plan, commit, dispatch
    placement        the decision that this job runs on that node
    assignment       the nodes that the members of one job get
    capacity         what a cluster could hold if it were empty; growth: nodes that a pool may still start
    shape            the combination of requirements by which waiting jobs are grouped
    queue group      the waiting jobs of one shape
    order            which of the waiting jobs goes first
    reservation      room kept for a job that cannot start yet; a carried one lasts from plan to plan
    backfill         placing other jobs meanwhile where they do not delay the reservation
    preemption       stopping less urgent executions for a more urgent job; victim: an execution that it stops
    fragmentation    how much of the room for the waiting jobs a placement would spoil
    packing          how a pool's nodes are filled: one after the other, or evenly
    constraint       a demand on a node's labels; preference: a wish
    policy           the settings of operators: modes, pauses, limits, weights
    mode             how the queue is ordered among jobs of equal rank: fifo, lifo, fair
    pause            nothing of a project, a job type or the installation is placed; switch: an operator's setting
    quota            what a project may hold at one time
    fair share       which project goes first: dominant share, weight, and what is owed; lag: the debt to a project
    predictor        tells how long jobs will probably run; history: the run times of those before
    start, end       when an execution begins and is over; timetable: the predicted ends
    reason           why a job waits
    refusal          the reason of one shape in one plan
    blocker          a reason that lies with the job itself
    explanation      reasons, nearest node, forecast and fixes of one waiting job; analysis: how they are found
    fix              a change that would let a job start
    forecast         when a job will probably start
    dry run          the answer that a submission would get, without submitting it

Inside
    leader           the scheduler process that plans; term: the fencing number of its lead
    maintenance      the work that is due by time: silent nodes, late claims, delayed jobs
    dispatch         sending placements to nodes; ring: asking a node to send a heartbeat at once
    nudge            waking a sleeping loop of another process
    feed             the jobs that changed, in an order that loses none; position: a place in it; watch: a wait for changes;
                     interest: the changes that end it; parked: a request that waits without a thread; wait: how long it may
    runtime          the database, clock, randomness and settings that every function of a stage gets
    installation     the whole of one Ganger: database, scheduler, API, nodes
    task spec        all that a node must know to run what it claimed
    event loop       the agent's one thread that drives the state machine
    state machine    the agent's rules; step: its answer to an event; command: an action that a step asks for
    journal          what a process must not forget, as lines on its disk
    paths            where things lie on a node
    work directory   what an execution finds and leaves on a node; secret directory: the same for secrets
    staging          bringing inputs to a node; collecting: taking outputs from it
    runner           makes a program into a launch; launch: an argument list and a complete environment
    image            the root file system of a container
    interpreter      a Python that jobs may choose on a node; venv: a Python environment made for a job type
    run              one phase's process tree, as the supervisor holds it; termination: stopping it
    confinement      what a run sees and may write beside its own directories, and the kernel calls it is denied
    cell             a confined thread of the supervisor, from which one run after another is started
    process tree     all processes that a run has started
    cgroup           a control group of Linux, which holds a tree; namespace: a PID namespace, which does, too
    progress         how far a program says it is
    record           a frozen value; row: a record read from a table; document: one as JSON; view: one in the API
    page             a part of a list; listing: a kind of list; filter: what a list is narrowed by; search: the same in words
    route            an address of the API; query, body, header: parts of a request; answer: what comes back
    endpoint         the calls of the Python client about one kind of thing
    dialect          the same jobs and files in the words of another system, for that system's own clients; asset: a file there
    link             an address that is signed, and so needs no token until it ends; blob: content that moves by one
    pace             how slow a client may be before it is given up on; share: the threads that slow requests may hold
    sample           a measurement kept for later; load: jobs over time; metric: a figure for monitoring
    trace            jobs with their true times; workload: the jobs of a replay; replay: placing them in simulated time
    invariant        a rule that holds for all rows; violation: rows that break it
    demo             the tour of an installation that `ganger demo` gives; case: one job of it; example: its files

Words of any program
    request, call, client, server, connection, transport, message, batch, address, host, provider
                     what goes over a network, and between whom
    process, thread, signal, account, cache, file, log, screen
                     what an operating system or a terminal has
    option, setting, configuration
                     what the command line, the environment and a file of the user's tell a process
    error, fault, denied, unreachable, timeout, problem, warning, check, health, dependency, limit, counter
                     what can go wrong, and how it is noticed
    value, field, schema, entry, id, key, reference, column, condition, change, count, result, selection, version
                     what data consists of
"""
