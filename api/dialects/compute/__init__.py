"""The compute API: tasks of topics, run as jobs, as the published client *evo-compute* submits, follows and cancels them, unmodified.

    routes      the five calls
    schema      what is sent and answered
    view        Ganger's jobs in this dialect's words
    address     the id that a job has here, and what its address must say of it

A task is a job type: `topic/task` is its name, the newest version counts, and its parameters are the type's inputs by name. A type whose
one input is called `parameters` gets all of them as one object. Progress and message are what the program says of itself
(`GANGER_PROGRESS 40 sorting`, see docs/node.md); results are its properties, and a link for each file that it made.

The organization is this installation (`GANGER_ORGANIZATION`): any other is not found. Whose jobs somebody may see is settled by his token.

The published client sends a submission again when its connection broke, without a key: `scheduler.lookup.repeats` tells that from a second one.
"""

from __future__ import annotations

from api.dialects import problems
from api.dialects.compute import routes
from api.dialects.dialect import Dialect

dialect = Dialect("compute", (routes.routes,), problems.titled(problems.beneath("/compute")))
