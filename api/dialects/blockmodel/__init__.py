"""The block model API of Evo, for its own clients: block models, their versions, and the jobs that make and read them.

It renders and reads what `scheduler.data_sets` does, and decides nothing. An organization is this installation
(`GANGER_ORGANIZATION`), a workspace a project, by its UUID; whoever may read jobs reads and queries, whoever may submit
them creates and updates.
"""

from api.dialects import problems
from api.dialects.blockmodel import jobs, models, reports, service, versions
from api.dialects.dialect import Dialect

dialect = Dialect(
    "blockmodel",
    (models.routes, versions.routes, jobs.routes, reports.routes, service.routes),
    problems.titled(problems.beneath("/blockmodel")),
)
