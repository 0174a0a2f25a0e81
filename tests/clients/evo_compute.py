"""The published `evo-compute` client, unmodified, in a process of its own: tasks are submitted, followed, cancelled, and fail.

The first argument is JSON: `url`, `token`, `viewer`, `org`. One line of JSON for each scenario: its name, and null or what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

from evo.aio import AioTransport
from evo.common import APIConnector
from evo.common.exceptions import ForbiddenException, NotFoundException, UnauthorizedException
from evo.compute import JobClient, JobStatusEnum
from evo.compute.exceptions import JobError, JobPendingError
from evo.oauth import AccessTokenAuthorizer

SETTINGS: dict[str, Any] = json.loads(sys.argv[1])
ORG = UUID(SETTINGS["org"])


class Seen:
    """What the client has told of its progress."""

    def __init__(self) -> None:
        self.all: list[tuple[float, str | None]] = []

    def progress(self, progress: float, message: str | None = None) -> None:
        """Note it."""
        self.all.append((progress, message))


def connector(transport: AioTransport, token: str | None = None) -> APIConnector:
    """Return a connector of whoever has this token."""
    return APIConnector(SETTINGS["url"], transport, AccessTokenAuthorizer(token or SETTINGS["token"]))


async def results(transport: AioTransport) -> None:
    """A task ends well, with progress on the way, results as they were made, and the same job again by its address."""
    given = {"word": "ünö", "many": 3, "nested": {"a": [1, None]}}
    job = await JobClient.submit(connector(transport), ORG, "test", "echo", given)
    seen = Seen()
    found = await job.wait_for_results(polling_interval_seconds=0.05, fb=seen)
    assert found["said"] == given, found
    assert found["made"]["size"] == 3, found
    again = JobClient.from_url(connector(transport), job.url)
    assert (await again.get_results())["said"] == given
    status = await again.get_status()
    assert (status.status, status.progress) == (JobStatusEnum.succeeded, 100), status
    assert any(message == "half of it" for _, message in seen.all), seen.all
    assert any(abs(progress - 0.5) < 1e-9 for progress, _ in seen.all), seen.all


async def all_parameters(transport: AioTransport) -> None:
    """A type with one input, called parameters, gets all of them."""
    job = await JobClient.submit(connector(transport), ORG, "test", "free", {"anything": {"at": ["all"]}, "n": 1})
    assert (await job.wait_for_results(0.05))["got"] == {"anything": {"at": ["all"]}, "n": 1}


async def cancelled(transport: AioTransport) -> None:
    """A job that runs is cancelled, twice; its status goes to cancelled, and its results say so."""
    job = await JobClient.submit(connector(transport), ORG, "test", "sleep", {})
    await begun(job)
    await raised(JobPendingError, job.get_results())
    await job.cancel()
    await job.cancel()
    seen = {(await job.get_status()).status}
    assert seen <= {JobStatusEnum.cancelling, JobStatusEnum.cancelled}, seen
    error = await raised(JobError, job.wait_for_results(0.05))
    assert error.status == 409, error
    assert (await job.get_status()).status is JobStatusEnum.cancelled


async def failed(transport: AioTransport) -> None:
    """A job fails, with a problem that the client can read."""
    job = await JobClient.submit(connector(transport), ORG, "test", "fail", {})
    error = await raised(JobError, job.wait_for_results(0.05))
    assert (error.status, error.content["title"]) == (500, "Program failed"), error.content
    status = await job.get_status()
    assert (status.status, status.error is not None) == (JobStatusEnum.failed, True)


async def refused(transport: AioTransport) -> None:
    """What is not there is not found, and who may not may not."""
    mine = connector(transport)
    for topic, task in (("test", "nothing"), ("other", "echo")):
        await raised(NotFoundException, JobClient.submit(mine, ORG, topic, task, {}))
    await raised(UnauthorizedException, JobClient.submit(connector(transport, "gu_x"), ORG, "test", "fail", {}))
    viewer = connector(transport, SETTINGS["viewer"])
    await raised(ForbiddenException, JobClient.submit(viewer, ORG, "test", "fail", {}))
    job = await JobClient.submit(mine, ORG, "test", "free", {})
    assert (await JobClient(viewer, ORG, "test", "free", job.id).get_status()).status is not None
    await raised(ForbiddenException, JobClient(viewer, ORG, "test", "free", job.id).cancel())
    for org, task, job_id in ((uuid4(), "free", job.id), (ORG, "echo", job.id), (ORG, "free", uuid4())):
        await raised(NotFoundException, JobClient(mine, org, "test", task, job_id).get_status())


async def begun(job: JobClient[Any]) -> None:
    """Return when a job runs. There is no signal: these clients poll."""
    for _ in range(600):
        if (await job.get_status()).status is not JobStatusEnum.requested:
            return
        await asyncio.sleep(0.05)  # there is no signal: clients of this API poll


async def raised(expected: type[Exception], call: Awaitable[Any]) -> Any:
    """Return what this call raises; raise AssertionError if that is something else, or nothing."""
    try:
        await call
    except expected as error:
        return error
    raise AssertionError(f"{expected.__name__} was not raised")


SCENARIOS: tuple[Callable[[AioTransport], Awaitable[None]], ...] = (
    results,
    all_parameters,
    cancelled,
    failed,
    refused,
)


async def main() -> None:
    """Go through all of them."""
    transport = AioTransport("tests")
    async with transport:
        for scenario in SCENARIOS:
            try:
                await asyncio.wait_for(scenario(transport), 40)
                told = None
            except Exception:  # noqa: BLE001 - whatever went wrong is what the test tells
                told = traceback.format_exc()
            sys.stdout.write(json.dumps([scenario.__name__, told]) + "\n")
            sys.stdout.flush()


asyncio.run(main())
