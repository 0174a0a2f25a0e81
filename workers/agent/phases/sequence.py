"""The order of the phases: which step follows when the command of a phase has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from workers.agent.context import StepContext
from workers.agent.execution import NodeExecution
from workers.agent.phases import finish, job, post, pre
from workers.supervisor.limits import ENVIRONMENT

AFTER: Final[Mapping[str, Callable[[StepContext, NodeExecution], None]]] = MappingProxyType(
    {
        ENVIRONMENT: pre.venv_made,
        "pre": pre.ended,
        "job": job.ended,
        "post": post.ended,
        "cleanup": finish.ship,
    }
)
"""By phase: the step that follows its command."""
