"""The identifiers that travel through every layer, each a type of its own: a swapped pair is an error of the type check.

At run time they are plain integers. A number becomes an identifier where it enters: in a record of the store, in a message
of the node protocol, or from a path of the API.
"""

from __future__ import annotations

from typing import NewType

JobId = NewType("JobId", int)
"""A row of `jobs`."""

ExecutionId = NewType("ExecutionId", int)
"""A row of `executions`: one member of one attempt of a job, on one node."""

Attempt = NewType("Attempt", int)
"""Number of a job's attempt, from 1 on; it rises with every placement, and whatever names an older one is refused."""

NodeId = NewType("NodeId", int)
"""A row of `nodes`; it stays the node's for as long as the row is there."""

Epoch = NewType("Epoch", int)
"""Number of a node's life, from 1 on; it rises when the node is declared lost or comes back as another machine."""

ProjectId = NewType("ProjectId", int)
"""A row of `projects`."""

JobTypeId = NewType("JobTypeId", int)
"""A row of `job_types`."""

RevisionId = NewType("RevisionId", int)
"""A row of `job_type_revisions`: what a job type said at one time. Jobs keep theirs."""

ShapeId = NewType("ShapeId", int)
"""A row of `shapes`: all that jobs ask for which placement treats alike."""

PoolId = NewType("PoolId", int)
"""A row of `pools`."""

FileId = NewType("FileId", int)
"""A row of `files`."""

DataSetId = NewType("DataSetId", int)
"""A row of `data_sets`."""

ErrorId = NewType("ErrorId", int)
"""A row of `errors`."""

Term = NewType("Term", int)
"""Number of a leader's term; it rises when another scheduler takes over, and the old one writes nothing more."""
