"""A client of block models for the scenarios of `tests.clients.evo_blockmodels`: the published one, with what they need around it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import pyarrow as pa
from evo.aio import AioTransport
from evo.blockmodels import BlockModelAPIClient
from evo.blockmodels.data import RegularGridDefinition
from evo.blockmodels.endpoints import models
from evo.blockmodels.endpoints.api import ColumnOperationsApi, JobsApi, MetadataApi, OperationsApi, VersionsApi
from evo.common import APIConnector, Environment
from evo.common.data import HTTPHeaderDict, RequestMethod
from evo.common.utils import Cache
from evo.oauth import AccessTokenAuthorizer

SETTINGS: dict[str, Any] = {}


class Sending(AioTransport):  # type: ignore[misc]  # it has no types here
    """A transport that sends what goes to the host of files to a plain address instead."""

    async def request(self, method: Any, url: str, *args: Any, **named: Any) -> Any:
        """Send a request."""
        if SETTINGS["files"] is not None and url.startswith("https://"):
            url = SETTINGS["files"] + "/" + url.split("/", 3)[3]
        return await super().request(method, url, *args, **named)


class Client:
    """A client of one workspace, with the generated parts of it."""

    def __init__(self, token: str | None = None, org: str | None = None, workspace: str | None = None) -> None:
        self.transport = Sending("tests", verify_ssl=False)
        self.connector = APIConnector(
            SETTINGS["url"], self.transport, AccessTokenAuthorizer(token or SETTINGS["token"])
        )
        self.org, self.workspace = org or SETTINGS["org"], workspace or SETTINGS["workspace"]
        self.environment = Environment(
            hub_url=SETTINGS["url"], org_id=UUID(self.org), workspace_id=UUID(self.workspace)
        )
        self.cache = Cache(Path(SETTINGS["cache"]) / uuid4().hex, mkdir=True)
        self.models = BlockModelAPIClient(self.environment, self.connector, self.cache)
        self.columns, self.jobs = ColumnOperationsApi(self.connector), JobsApi(self.connector)
        self.operations, self.versions = OperationsApi(self.connector), VersionsApi(self.connector)
        self.metadata = MetadataApi(self.connector)

    async def __aenter__(self) -> Self:
        await self.transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transport.close()

    @property
    def place(self) -> dict[str, str]:
        """What every generated call takes."""
        return {"org_id": self.org, "workspace_id": self.workspace}

    async def a_model(self, name: str | None = None, **said: Any) -> Any:
        """Make a block model of 4 by 3 by 2 blocks."""
        grid = RegularGridDefinition(
            model_origin=said.pop("origin", [0.0, 10.5, -2.0]),
            rotations=said.pop("rotations", []),
            n_blocks=said.pop("n_blocks", [4, 3, 2]),
            block_size=[1.0, 2.5, 0.5],
        )
        return await self.models.create_block_model(name or f"model {uuid4().hex[:8]}", grid, **said)

    async def update(self, bm: UUID, columns: dict[str, Any], content: bytes | None, **said: Any) -> Any:
        """Ask for an update by the generated calls, upload content, and return the version."""
        lists = {"new": [], "update": [], "delete": [], "rename": [], **columns}
        data = models.UpdateDataLite(models.UpdateDataLite1(columns=models.UpdateColumnsLite(**lists), **said))
        asked = await self.columns.update_block_model_from_latest_version(
            bm_id=str(bm), update_data_lite=data, **self.place
        )
        assert str(asked.job_url).endswith(f"/jobs/{asked.job_uuid}"), asked.job_url
        with tempfile.NamedTemporaryFile() as file:
            file.write(content or b"")
            file.flush()
            if asked.upload_url is not None:
                return await self.models.upload_block_model(bm, asked.job_uuid, str(asked.upload_url), file.name)
        for _ in range(2):
            await self.columns.notify_upload_complete(bm_id=str(bm), job_id=str(asked.job_uuid), **self.place)
        return await self.ended(bm, asked.job_uuid)

    async def ended(self, bm: UUID, job: UUID) -> Any:
        """Return the payload of a job that has ended."""
        while True:
            found = await self.jobs.get_job_status(job_id=str(job), bm_id=str(bm), **self.place)
            if found.job_status in {models.JobStatus.COMPLETE, models.JobStatus.FAILED}:
                return found.payload
            await asyncio.sleep(0.1)  # the API of this client only tells who asks

    async def csv(self, bm: UUID, **asked: Any) -> str:
        """Return what a query of CSV brings."""
        criteria = models.QueryCriteria(output_options=models.OutputOptionsCSV(file_format="csv"), **asked)
        found = await self.versions.query_block_model_latest_as_post(
            bm_id=str(bm), query_criteria=criteria, **self.place
        )
        payload = await self.ended(bm, UUID(str(found.job_url).rsplit("/", 1)[1]))
        return await download(self, str(payload.download_url))


async def download(client: Client, url: str) -> str:
    """Return a text by a link, in two pieces, as the client moves files."""
    head = await client.transport.request(RequestMethod.HEAD, url)
    assert head.status == 200, head.status
    assert head.headers["Accept-Ranges"] == "bytes"
    length = int(head.headers["Content-Length"])
    pieces = []
    for start, end in ((0, 4), (5, length - 1)):
        headers = HTTPHeaderDict({"Range": f"bytes={start}-{end}"})
        part = await client.transport.request(RequestMethod.GET, url, headers=headers)
        assert part.status == 206, part.status
        pieces.append(part.data)
    return b"".join(pieces).decode()


def raises(kind: type[BaseException], call: Awaitable[Any]) -> Awaitable[Any]:
    """Return what an awaited call raises, which is of this kind."""

    async def awaited() -> Any:
        try:
            found = await call
        except kind as error:
            return error
        raise AssertionError(f"{found} instead of {kind.__name__}")

    return awaited()


def indexed(rows: list[tuple[int, int, int]], **columns: Any) -> pa.Table:
    """Return a table with rows by their indices."""
    keys = {name: pa.array([row[at] for row in rows], pa.uint32()) for at, name in enumerate("ijk")}
    return pa.table({**keys, **columns})
