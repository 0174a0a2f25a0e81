"""The tables of what jobs wait for: needs, groups of jobs, and the jobs whose standing has changed for others.

A need points to a job with a smaller id, always: what needs each other in a circle cannot be stored.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from scheduler.rules.lifecycle.needs import NeedEffect, NeedKind, ParentState
from scheduler.store.schema.columns import document, identity, moment, one_of
from scheduler.store.schema.project_tables import metadata

_SETTLED = tuple(effect for effect in NeedEffect if effect is not NeedEffect.WAITS)
_OUTCOMES = tuple(state for state in ParentState if state is not ParentState.WAITING)

job_groups = Table(
    "job_groups",
    metadata,
    identity(),
    Column("project_id", BigInteger, nullable=False),
    Column("name", Text),
    # Members may still be added: no need for all of it is satisfied before.
    Column("is_open", Boolean, nullable=False, server_default="false"),
    moment("created", now=True),
)
Index("job_groups_name", job_groups.c.project_id, job_groups.c.name, postgresql_where=text("name IS NOT NULL"))

# Neither table refers to jobs: a parent that was purged has settled its needs, and the needs of a job go with it.
group_members = Table(
    "group_members",
    metadata,
    Column("group_id", BigInteger, primary_key=True),
    Column("job_id", BigInteger, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("outcome", Text),
    one_of("outcome", _OUTCOMES, "member_outcome"),
)
Index("group_members_job", group_members.c.job_id)
Index("group_members_outcome", group_members.c.group_id, group_members.c.outcome)

job_needs = Table(
    "job_needs",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    # Of a need for a group, the last of its members.
    Column("needs_id", BigInteger, nullable=False),
    Column("group_id", BigInteger),
    Column("after", Text, nullable=False),
    Column("any_member", Boolean, nullable=False, server_default="false"),
    Column("tolerate", Integer, nullable=False, server_default="0"),
    Column("allow_skipped", Boolean, nullable=False, server_default="false"),
    # An output of the parent is an input of the job: its files are kept until the job has ended.
    Column("wires", Boolean, nullable=False, server_default="false"),
    Column("settled", Text),
    CheckConstraint("needs_id < job_id", name="need_of_an_earlier_job"),
    CheckConstraint("tolerate >= 0", name="need_tolerates"),
    one_of("after", NeedKind, "need_after"),
    one_of("settled", _SETTLED, "need_settled"),
    postgresql_with={"fillfactor": 90},
)
Index("job_needs_parent", job_needs.c.needs_id, postgresql_where=text("group_id IS NULL"))
Index("job_needs_group", job_needs.c.group_id, postgresql_where=text("group_id IS NOT NULL"))
Index(
    "job_needs_unsatisfied",
    job_needs.c.job_id,
    job_needs.c.settled,
    postgresql_where=text("settled IS DISTINCT FROM 'OK'"),
)

# Jobs whose standing matters to others and has changed, or that are to be judged anew: the resolver takes them from here.
need_changes = Table(
    "need_changes",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("job_id", BigInteger, nullable=False),
)
Index("need_changes_job", need_changes.c.job_id)

# What is done when a job's needs are satisfied: values and files to take from its parents, and conditions.
job_plans = Table(
    "job_plans",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    document("wiring"),
    document("conditions", default="[]"),
    # A job that stands for as many as an output of what it needs has values: how it becomes them.
    document("expansion", default=None),
    # Whether it may be done with the results of another job; see `scheduler.rules.workflow.reuse`.
    document("cache", default=None),
    # So long it waits for its needs at most, from when it begins to wait.
    Column("needs_within_s", Integer),
)

# When jobs that bear waiting only so long are looked at.
need_deadlines = Table(
    "need_deadlines",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    moment("due"),
)
Index("need_deadlines_due", need_deadlines.c.due)

# Jobs that were submitted by another one, which they are cancelled with.
job_parents = Table(
    "job_parents",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("parent_job_id", BigInteger, nullable=False),
)
Index("job_parents_parent", job_parents.c.parent_job_id)

# Jobs that may reuse results, or whose results may be: what makes them the same, and what became of it.
job_cache = Table(
    "job_cache",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("project_id", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    document("parts"),
    Column("missed", Text),
    Column("reused_from", BigInteger),
    # The job that could not have a file of its results as it was made.
    Column("doubted_by", BigInteger),
)
Index("job_cache_key", job_cache.c.project_id, job_cache.c.key)
Index("job_cache_newest", job_cache.c.project_id, job_cache.c.job_id)
Index("job_cache_reused", job_cache.c.reused_from, postgresql_where=text("reused_from IS NOT NULL"))
