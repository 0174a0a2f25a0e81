"""The agent's one client of its supervisor: starts it where none runs, sends it commands, and reports what happens.

`client` is the door. `connection` is one socket to one supervisor, `launch` makes that socket, starting a supervisor
where none answers, and `run_end` reads how a run ended. The supervisor stays when the agent ends, and the next agent
finds it with everything that runs under it; so an agent also understands supervisors of earlier releases.

Requests and answers are JSON objects, one a line. Every request takes a batch and may be repeated:

    start      {runs}           -> {known, refused}   a run is a `RunRequest`; `known` are last messages of runs that
                                                      were requested before, `queued` where one waits to be started
    kill       {trees}          -> {unknown}          each {tree, grace_s, reason}; `unknown` are trees with no run
    release    {trees}          -> {refused}          forget how their runs ended; their names may never be used again
    lease      {sent_boottime}  -> {}                 when the last heartbeat that succeeded was sent
    shutdown   {grace_s}        -> {}                 stop all trees, then the supervisor
    subscribe  {starts}         -> {}                 `starts` says whether `started` is told, too
    list, ping

A `silent` request gets no answer where that would say nothing.

What happens comes as messages with `ev`, after `subscribe` and unasked. A message may come twice:

    connected  {hello}                      made here: there is a new connection; the last messages of all runs that
                                            are not released follow, and then `caught_up`
    started    {tree, phase, pid, at}
    stuck      {tree, phase, pids}          killed for 5 s and still alive
    sample     {tree, phase, at, seconds, cpu_s, mem_mib, disk_mib}
                                            what a run uses, every `sample_s` of its request; told once and not kept
    ended      {tree, phase, pid, exit_code, signal, reason, oom, seconds, started, ended, usage, message, errno}
                                            the main process is reaped and the tree is empty; `reason`: `EndReason`
"""
