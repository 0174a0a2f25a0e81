"""History: this installation's past jobs as a trace, and its present nodes as a fleet, from answers of the API."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from scheduler.identifiers import NodeId
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.resources import Resources

ListEntry: TypeAlias = Mapping[str, Any]
"""An entry of a list of the API, read by key: it comes over HTTP, from a server that may be of another release."""

_PLAIN = {"cpus": "cpus_required", "mem": "mem_required"}


def jobs_of_history(jobs: Iterable[ListEntry]) -> list[TraceJob]:
    """Return the jobs that ran and ended, by submission time, from lists of jobs. Jobs that did not run are left out.

    A job counts with its last try. Its pool is known here, but not the labels that it asked for.
    """
    projects: dict[str, int] = {}
    found = [_job(job, projects) for job in jobs if job.get("started") and job.get("ended")]
    return sorted(found, key=lambda job: (job.submitted, job.id))


def nodes_of_fleet(nodes: Iterable[ListEntry]) -> list[Node]:
    """Return the nodes that are online, from lists of nodes; paused and draining nodes stay so."""
    return [
        Node(
            NodeId(number),
            _resources(node["resources"]["total"]),
            node["name"],
            node["pool"],
            node["labels"],
            paused=node["is_paused"],
            draining=node["is_draining"],
        )
        for number, node in enumerate((node for node in nodes if node["is_online"] and node["is_active"]), 1)
    ]


def _job(job: ListEntry, projects: dict[str, int]) -> TraceJob:
    amounts = {name: job[field] for name, field in _PLAIN.items()}
    amounts["disk"] = (job.get("disk_in_required") or 0) + (job.get("disk_out_required") or 0)
    started, ended = (datetime.fromisoformat(str(job[edge])).timestamp() for edge in ("started", "ended"))
    due = max(filter(None, (job.get("created"), job.get("not_before"))), key=str)
    return TraceJob(
        int(job["id"]),
        datetime.fromisoformat(str(due)).timestamp(),
        max(0.0, ended - started),
        _resources({**(job.get("resources") or {}), **amounts}),
        job.get("timeout"),
        kind=(int(job["job_type"]["id"]),),
        project_id=projects.setdefault(str(job.get("project")), len(projects) + 1),
        priority=int(job["priority"]),
        pool=job.get("pool"),
        count=int(job.get("count") or 1),
    )


def _resources(amounts: Mapping[str, float]) -> Resources:
    return Resources.from_amounts({name: round(float(amount or 0) * 1000) for name, amount in amounts.items()})
