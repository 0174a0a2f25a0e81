"""The demo's jobs, and the end that each of them should have."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.demo.examples import Example, ExampleTable
from ganger import JobRequest

SHARDS = 20
TRIES = 3
TIMEOUT_S = 1
BREAKS_WITH = 9
MARK = "DEMO_MARK"
# No machine has as many: about the cpus of a large data centre.
TOO_MANY_CPUS = 10_000_000
SMALL = {"cpus_required": 0.1, "mem_required": 32, "disk_out_required": 1}

# Two children and one of them in a session of its own, so that neither signals to a group nor a lost parent reach it all.
FAMILY = "setsid sh -c 'sleep 300 & wait' & sleep 300 & wait"
# The same, but one of them does not listen when it is asked to end.
STUBBORN_FAMILY = "setsid sh -c 'trap \"\" TERM; sleep 300' & sleep 300"
FAMILY_SIZE = 3


@dataclass(frozen=True, slots=True)
class DemoCase:
    """One job. `mark` is in the environment of all its processes, where they are looked for."""

    name: str
    request: JobRequest
    ends: str = "COMPLETED"
    tries: int = 1
    table: ExampleTable | None = None
    error_has: str | None = None
    exit_codes: Sequence[int] = ()
    cancel_when_seen: int | None = None
    cancel_when_explained: bool = False
    mark: str = field(default_factory=lambda: f"ganger-demo-{uuid.uuid4().hex}")

    @property
    def is_watched(self) -> bool:
        """Whether its processes are looked for while it runs, and after."""
        return self.ends != "COMPLETED"


@dataclass(frozen=True, slots=True)
class DemoCases:
    """All cases, and the example that some of them run."""

    example: Example
    cases: Sequence[DemoCase]


def of_example(example: Example) -> DemoCases:
    """Return the cases in the order in which they are shown."""
    whole = _footprint("all airports", example.table)
    shards = [_footprint(f"shard {number}", table) for number, table in enumerate(example.shards(SHARDS), start=1)]
    return DemoCases(example, [whole, *shards, *troubles()])


def troubles() -> list[DemoCase]:
    """Return the cases that go wrong, each in a way of its own."""
    return [
        _command("third try", f'test "$GANGER_ATTEMPT" -ge {TRIES} || exit 75', tries=TRIES, exit_codes=(0, 75, 75)),
        _command(
            "never succeeds",
            f"exit {BREAKS_WITH}",
            max_tries=2,
            tries=2,
            ends="FAILED",
            exit_codes=(BREAKS_WITH, BREAKS_WITH),
        ),
        _command("too long", STUBBORN_FAMILY, timeout=TIMEOUT_S, max_tries=1, ends="FAILED", error_has="timeout"),
        _command("canceled", FAMILY, ends="CANCELED", cancel_when_seen=FAMILY_SIZE),
        _command("too large", "true", cpus=TOO_MANY_CPUS, ends="CANCELED", tries=0, cancel_when_explained=True),
    ]


def _footprint(name: str, table: ExampleTable) -> DemoCase:
    return DemoCase(name, JobRequest(job_type="kml-footprint", name=name, labels={"demo": "yes"}), table=table)


def _command(
    name: str,
    script: str,
    *,
    ends: str = "COMPLETED",
    tries: int = 1,
    exit_codes: Sequence[int] = (),
    error_has: str | None = None,
    cancel_when_seen: int | None = None,
    cancel_when_explained: bool = False,
    timeout: int | None = 60,
    max_tries: int | None = TRIES,
    cpus: float | None = None,
) -> DemoCase:
    mark = f"ganger-demo-{uuid.uuid4().hex}"
    asks = {**SMALL, **({"cpus_required": cpus} if cpus else {})}
    request = JobRequest(
        command=["sh", "-c", script],
        name=name,
        environment={MARK: mark},
        labels={"demo": "yes"},
        timeout=timeout,
        max_tries=max_tries,
        retry_on=["SYSTEM", "ALGORITHM"],
        **asks,  # type: ignore[arg-type]  # three amounts
    )
    return DemoCase(
        name,
        request,
        ends=ends,
        tries=tries,
        exit_codes=exit_codes,
        error_has=error_has,
        cancel_when_seen=cancel_when_seen,
        cancel_when_explained=cancel_when_explained,
        mark=mark,
    )
