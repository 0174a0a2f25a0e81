"""The published `evo-blockmodels` client, unmodified, in a process of its own: it goes through block models as their users do.

The first argument is JSON: `url`, `token`, `org`, `workspace`, `cache`, and `files`: the address to which its transport sends what
goes to another host over https, or null to let it go there. One line of JSON for each scenario: its name, and null or what went wrong.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import math
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from evo.blockmodels import BlockModelAPIClient
from evo.blockmodels.data import ColumnMetadataUpdate
from evo.blockmodels.endpoints import models
from evo.blockmodels.exceptions import JobFailedException
from evo.common import APIConnector
from evo.common.exceptions import (
    BadRequestException,
    EvoAPIException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
)
from evo.oauth import ClientCredentialsAuthorizer, OAuthConnector

from tests.clients.evo_client import SETTINGS, Client, download, indexed, raises
from tests.clients.evo_groups import columns_in_groups
from tests.clients.evo_reports import models_as_data_frames, reports_by_the_generated_calls

UTC = dt.UTC


async def health_and_lists(client: Client) -> None:
    """Health; models one by one, in pages, changed, deleted, restored."""
    health = await client.models.get_service_health()
    assert health.status == "pass", health
    bm, version = await client.a_model(description="demo", comment="born", size_unit_id="m",
                                       coordinate_reference_system="EPSG:3395")  # fmt: skip
    assert (version.version_id, version.parent_version_id, version.base_version_id) == (1, 0, None)
    assert (version.comment, version.bbox, version.columns) == ("born", None, [])
    assert version.created_by.id == bm.created_by.id
    again = await client.models.get_block_model(bm.id)
    assert (again.name, again.description, again.grid_definition) == (bm.name, "demo", bm.grid_definition)
    others = [await client.a_model() for _ in range(3)]
    listed = await client.models.list_block_models()
    own = [one.id for one in listed if one.id in {bm.id, *(each.id for each, _ in others)}]
    assert own == [*(one.id for one, _ in reversed(others)), bm.id], "the last updated comes first"
    every = await client.models.list_all_block_models(page_limit=2)
    assert len({one.id for one in every}) == len(every)
    assert {bm.id, *(one.id for one, _ in others)} <= {one.id for one in every}
    said = models.UpdateBlockModel(name=f"{bm.name} renamed", description=None)
    renamed = await client.models.update_block_model_metadata(bm.id, said)
    assert (renamed.name, renamed.description) == (f"{bm.name} renamed", None)
    error = await raises(EvoAPIException, client.a_model(renamed.name))
    assert error.status == 409, error
    await client.models.delete_block_model(bm.id)
    await raises(NotFoundException, client.models.get_block_model(bm.id))
    await raises(NotFoundException, client.models.delete_block_model(bm.id))
    assert bm.id not in {one.id for one in await client.models.list_all_block_models()}
    deleted = await client.metadata.list_block_models(deleted=True, **client.place)
    assert bm.id in {one.bm_uuid for one in deleted.results}
    assert (await client.metadata.retrieve_block_model(bm_id=str(bm.id), deleted=True, **client.place)).bm_uuid == bm.id
    restored = await client.operations.restore_block_model(bm_id=str(bm.id), deleted=False, **client.place)
    assert restored.bm_uuid == bm.id
    assert (await client.models.get_block_model(bm.id)).id == bm.id
    wide = await client.metadata.list_block_models_across_workspaces(org_id=client.org)
    assert bm.id in {one.bm_uuid for one in wide.results}


KINDS: dict[str, tuple[Any, list[Any]]] = {
    "Boolean": (pa.bool_(), [True, False, None]),
    "Int8": (pa.int8(), [-128, 127, None]),
    "Int16": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "Int32": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "Int64": (pa.int64(), [-(2**63), 2**63 - 1, None]),
    "UInt8": (pa.uint8(), [0, 255, None]),
    "UInt16": (pa.uint16(), [0, 2**16 - 1, None]),
    "UInt32": (pa.uint32(), [0, 2**32 - 1, None]),
    "UInt64": (pa.uint64(), [0, 2**64 - 1, None]),
    "Float16": (pa.float16(), [0.5, -65504.0, None]),
    "Float32": (pa.float32(), [0.25, math.inf, None]),
    "Float64": (pa.float64(), [0.1, -math.inf, None]),
    "Utf8": (pa.utf8(), ["Erzgehalt ▸ %", "", None]),
    "Date32": (pa.date32(), [dt.date(1969, 12, 31), dt.date(9999, 12, 31), None]),
    "Timestamp": (
        pa.timestamp("us", tz="UTC"),
        [dt.datetime(1969, 1, 1, tzinfo=UTC), dt.datetime(2026, 1, 1, 1, 2, 3, 4, UTC), None],
    ),
}


async def tables_of_every_kind(client: Client) -> None:
    """A model that is made with data of every kind, and gives it back."""
    rows = [(0, 0, 0), (3, 2, 1), (1, 1, 1)]
    data = indexed(rows, **{f"{kind} ü": pa.array(values, type_) for kind, (type_, values) in KINDS.items()})
    bm, version = await client.a_model(initial_data=data, units={"Float64 ü": "g/t"})
    assert version.version_id == 2
    assert {column.title: column.data_type.value for column in version.columns} == {f"{kind} ü": kind for kind in KINDS}
    assert next(one.unit_id for one in version.columns if one.title == "Float64 ü") == "g/t"
    assert version.bbox.i_minmax.max == 3
    table = await client.models.query_block_model_as_table(
        bm.id, ["*"], geometry_columns=models.GeometryColumns.indices, column_headers=models.ColumnHeaderType.name,
        exclude_null_rows=False,
    )  # fmt: skip
    assert table.num_rows == 24
    found = {(row["i"], row["j"], row["k"]): row for row in table.to_pylist()}
    for at, row in enumerate(rows):
        for kind, (type_, values) in KINDS.items():
            assert table.schema.field(f"{kind} ü").type == type_, kind
            assert found[row][f"{kind} ü"] == values[at], (kind, found[row])
    assert all(found[2, 2, 0][f"{kind} ü"] is None for kind in KINDS)
    points = await client.models.query_block_model_as_table(bm.id, [version.columns[0].col_id])
    assert points.schema.names == ["x", "y", "z", version.columns[0].col_id]
    assert points.num_rows == 2, "blocks whose values are all null are left out"
    moved = await client.models.add_new_columns(
        bm.id, pa.table({name: points[name] for name in "xyz"} | {"by point": pa.array([1.5, math.nan])})
    )
    assert {column.title for column in moved.columns} >= {"by point"}
    path = await client.models.query_block_model_to_cache(bm.id, ["by point"])
    values = pq.read_table(path).column(3).to_pylist()
    assert values[0] == 1.5
    assert math.isnan(values[1])


async def columns_change(client: Client) -> None:
    """New, updated, renamed, described and deleted columns; every version stays as it was."""
    bm, first = await client.a_model()
    one = await client.models.add_new_columns(
        bm.id, indexed([(0, 0, 0), (1, 0, 0)], a=pa.array([1.0, 2.0]), b=pa.array(["x", "y"])), units={"a": "g/t"}
    )
    two = await client.models.update_block_model_columns(
        bm.id, indexed([(1, 0, 0), (2, 0, 0)], a=pa.array([20.0, 30.0]), c=pa.array([7, None], pa.int16())), ["c"], {"a"}, {"b"},
        update_type=models.UpdateType.merge,
    )  # fmt: skip
    assert [column.title for column in two.columns] == ["a", "c"]
    three = await client.models.rename_block_model_columns(bm.id, {"a": "A"}, comment="renamed")
    assert ([column.title for column in three.columns], three.comment, three.bbox) == (["A", "c"], "renamed", None)
    assert three.columns[0].col_id == one.columns[0].col_id
    four = await client.models.update_column_metadata(bm.id, {"A": None, "c": ColumnMetadataUpdate(unit_id="%")})
    assert [column.unit_id for column in four.columns] == [None, "%"]
    both = await client.update(
        bm.id,
        {"update": ["A"], "rename": [{"title": "A", "new_title": "gold"}]},
        b"i,j,k,A\n3,2,1,9\n",
        input_options=models.InputOptionsCSV(file_format="csv"),
        comment="both",
    )
    assert ([column.title for column in both.columns], both.version_id) == (["gold", "c"], 6)
    six = await client.models.delete_block_model_columns(bm.id, ["c"])
    assert [column.title for column in six.columns] == ["gold"]
    assert (
        await client.csv(bm.id, columns=["gold"])
        == "i,j,k,gold\r\n0,0,0,1.0\r\n1,0,0,20.0\r\n2,0,0,30.0\r\n3,2,1,9.0\r\n"
    )
    old = await client.csv(bm.id, columns=["b", "a"], version_uuid=one.version_uuid)
    assert old == "i,j,k,b,a\r\n0,0,0,x,1.0\r\n1,0,0,y,2.0\r\n"
    box = {"i_minmax": {"min": 1, "max": 2}, "j_minmax": {"min": 0, "max": 2}, "k_minmax": {"min": 0, "max": 1}}
    assert (
        await client.csv(bm.id, columns=["*"], bbox=models.BBox(**box)) == "i,j,k,gold\r\n1,0,0,20.0\r\n2,0,0,30.0\r\n"
    )
    versions = await client.models.list_all_versions(bm.id, page_limit=2)
    assert [version.version_id for version in versions] == [7, 6, 5, 4, 3, 2, 1]
    assert [version.parent_version_id for version in versions] == [6, 5, 4, 3, 2, 1, 0]
    got = await client.models.get_version(bm.id, two.version_uuid)
    assert (got.version_id, got.columns) == (3, two.columns)
    assert (await client.models.list_versions(bm.id))[-1].version_uuid == first.version_uuid
    await client.models.add_new_columns(bm.id, indexed([], other=pa.array([], pa.int8())))
    bare = indexed([(0, 0, 0)])
    seven = await client.models.update_block_model_columns(bm.id, bare, [], delete_columns={"other"})
    assert [column.title for column in seven.columns] == ["gold"], "the table beside a deletion is sent, and not read"
    replaced = await client.update(bm.id, {"update": ["gold"]}, b"i,j,k,gold\n0,0,0,5\n", update_type=models.UpdateType.replace,
                                   input_options=models.InputOptionsCSV(file_format="csv"))  # fmt: skip
    assert replaced.bbox.i_minmax.max == 3
    assert await client.csv(bm.id, columns=["gold"]) == "i,j,k,gold\r\n0,0,0,5.0\r\n"


async def wrong_files(client: Client) -> None:
    """What is wrong with a file fails its job, says where, and leaves the model as it was."""
    bm, _ = await client.a_model()
    options = models.InputOptionsCSV(file_format="csv")
    new = {"new": [{"title": "v", "data_type": "Int32"}]}
    for content, said in (
        (b"i,j,k,v\n0,0,0,1\n1,0,0,two\n", "line 3, column 4 (v)"),
        (b"i,j,k,w\n0,0,0,1\n", "there is no column 'v'"),
        (b"i,j,k,v,w\n0,0,0,1,1\n", "line 1, column 5"),
        (b"i,j,k,v\n0,,0,1\n", "line 2, column 2 (j): this key is missing"),
        (b"i,j,k,v\n0,0,7,1\n", "outside of the grid"),
        (b"i,j,k,v\n0,0,0,1\n0,0,0,1\n", "line 3"),
        (b"", "line 1"),
    ):
        error = await raises(JobFailedException, client.update(bm.id, new, content, input_options=options))
        payload = error.error_payload
        assert said in payload.detail, payload
        assert payload.status == 400, payload
        assert payload.type.endswith("/refused-data"), payload
    assert len(await client.models.list_all_versions(bm.id)) == 1
    await raises(EvoAPIException, client.update(bm.id, {"update": ["nothing"]}, b""))
    found = await client.update(bm.id, new, b"i,j,k,v\n", input_options=options)
    assert (found.version_id, found.bbox) == (2, None)


async def two_at_once(client: Client) -> None:
    """Updates of one model at once run one after the other, and none is lost."""
    bm, _ = await client.a_model()
    options = models.InputOptionsCSV(file_format="csv")

    def asked(number: int) -> Any:
        new = {"new": [{"title": f"c{number}", "data_type": "Int32"}]}
        return client.update(bm.id, new, f"i,j,k,c{number}\n{number},0,0,{number}\n".encode(), input_options=options)

    made = await asyncio.gather(*(asked(number) for number in range(4)))
    assert sorted(version.version_id for version in made) == [2, 3, 4, 5]
    newest = (await client.models.list_versions(bm.id))[0]
    assert {column.title for column in newest.columns} == {"c0", "c1", "c2", "c3"}
    text = await client.csv(bm.id, columns=["c0", "c1", "c2", "c3"])
    assert text == "i,j,k,c0,c1,c2,c3\r\n0,0,0,0,,,\r\n1,0,0,,1,,\r\n2,0,0,,,2,\r\n3,0,0,,,,3\r\n"


async def a_large_table(client: Client) -> None:
    """A file of several blocks of the transfer, up and down."""
    bm, _ = await client.a_model(n_blocks=[200, 100, 20])
    rows = 200 * 100 * 20
    numbers = range(rows)
    keys = [pa.array([n % 200 for n in numbers], pa.uint32()), pa.array([n // 200 % 100 for n in numbers], pa.uint32()),
            pa.array([n // 20_000 for n in numbers], pa.uint32())]  # fmt: skip
    values = pa.array([n * 0.37 for n in numbers])
    await client.models.add_new_columns(bm.id, pa.Table.from_arrays([*keys, values], ["i", "j", "k", "v"]))
    table = await client.models.query_block_model_as_table(
        bm.id, ["v"], geometry_columns=models.GeometryColumns.indices, column_headers=models.ColumnHeaderType.name
    )
    assert table.column("v").to_pylist() == values.to_pylist()


async def who_may(client: Client) -> None:
    """Viewers read and query, no more; others' ids and wrong tokens are told apart; credentials get a token."""
    bm, version = await client.a_model()
    async with Client(SETTINGS["viewer"]) as viewer:
        assert (await viewer.models.get_block_model(bm.id)).id == bm.id
        assert await viewer.csv(bm.id, columns=[]) != ""
        await raises(ForbiddenException, viewer.a_model())
        await raises(ForbiddenException, viewer.models.delete_block_model(bm.id))
        await raises(ForbiddenException, viewer.models.rename_block_model_columns(bm.id, {"a": "b"}))
    async with Client(SETTINGS["stranger"]) as stranger:
        await raises(NotFoundException, stranger.models.get_block_model(bm.id))
        await raises(NotFoundException, stranger.models.list_block_models())
    async with Client("gu_nobody") as nobody:
        await raises(UnauthorizedException, nobody.models.list_block_models())
    for org, workspace in (
        (str(uuid4()), client.workspace),
        (client.org, str(uuid4())),
        (client.org, SETTINGS["other"]),
    ):
        async with Client(org=org, workspace=workspace) as elsewhere:
            await raises(NotFoundException, elsewhere.models.get_block_model(bm.id))
    await raises(NotFoundException, client.models.get_version(bm.id, uuid4()))
    await raises(NotFoundException, client.jobs.get_job_status(job_id=str(uuid4()), bm_id=str(bm.id), **client.place))
    await raises(NotFoundException, client.csv(bm.id, columns=["*"], version_uuid=uuid4()))
    assert version.version_id == 1
    connector = OAuthConnector(client.transport, SETTINGS["token_name"], SETTINGS["token"], base_uri=SETTINGS["url"])
    trusted = APIConnector(SETTINGS["url"], client.transport, ClientCredentialsAuthorizer(connector))
    own = BlockModelAPIClient(client.environment, trusted, client.cache)
    assert (await own.get_block_model(bm.id)).id == bm.id


async def what_versions_changed(client: Client) -> None:
    """A version says what it changed, and versions are compared within a box."""
    bm, first = await client.a_model()
    one = await client.models.add_new_columns(
        bm.id, indexed([(1, 1, 0), (0, 0, 0)], a=pa.array([1.0, 2.0]), b=pa.array([1, 2]))
    )
    two = await client.models.update_block_model_columns(
        bm.id, indexed([(3, 2, 1)], a=pa.array([9.0])), [], {"a"}, {"b"}, update_type=models.UpdateType.merge
    )
    three = await client.models.rename_block_model_columns(bm.id, {"a": "A"})
    four = await client.models.update_column_metadata(bm.id, {"A": "g/t"})

    async def changed(version: Any) -> Any:
        found = await client.versions.retrieve_block_model_version(
            version_id=str(version.version_uuid), bm_id=str(bm.id), include_changes=True, **client.place
        )
        assert found.changes.total_blocks == 24
        return found.changes

    made = await changed(one)
    assert (made.columns.new, made.blocks_uploaded, made.update_type) == (["a", "b"], 2, models.UpdateType.replace)
    made = await changed(two)
    assert (made.columns.updated, made.columns.deleted, made.update_type) == (["a"], ["b"], models.UpdateType.merge)
    made = await changed(three)
    assert [(one.old_title, one.new_title) for one in made.columns.renamed] == [("a", "A")]
    assert (made.update_type, made.blocks_uploaded) == (None, None)
    made = await changed(four)
    assert [(one.title, one.values.unit_id) for one in made.columns.metadata_updated] == [("A", "g/t")]
    assert (await changed(first)).columns.new == []

    async def deltas(since: Any, high: int, columns: list[str], **said: Any) -> Any:
        ranges = {f"{name}_minmax": models.IntRange(min=0, max=high) for name in "ijk"}
        asked = models.DeltaRequestData(bbox=models.BBox(**ranges), columns=columns, verbose=True, **said)
        return await client.models.get_deltas_for_block_model(since.version_uuid, bm.id, asked)

    found = await deltas(first, 9, ["*"])
    assert (found.new_deltas, found.delete_deltas, found.update_deltas) == ([one.version_uuid], [], [])
    found = await deltas(one, 9, ["*"])
    assert (found.delete_deltas, found.update_deltas) == ([two.version_uuid], [two.version_uuid])
    assert [each.version_id for each in found.version_data] == [3]
    only = next(column.col_id for column in one.columns if column.title == "a")
    assert (await deltas(one, 0, [only])).status == 304, "nothing of it was changed there"
    assert (await deltas(two, 9, ["*"])).status == 304, "a new title is no change"
    assert (await deltas(one, 9, ["*"], end_version_uuid=one.version_uuid)).status == 304
    await raises(BadRequestException, deltas(one, 9, ["a"]))
    await raises(BadRequestException, deltas(two, 9, ["*"], end_version_uuid=one.version_uuid))


async def what_clients_leave_out(client: Client) -> None:
    """Clients send no defaults: no format where another option says it, and no body for a change of nothing."""
    bm, _ = await client.a_model(description="said")
    same = await client.models.update_block_model_metadata(bm.id, models.UpdateBlockModel())
    assert same.description == "said"
    new = {"new": [{"title": "v", "data_type": "Float64"}]}
    await client.update(
        bm.id, new, b"i;j;k;v\n0;0;0;1,5\n", input_options=models.InputOptionsCSV(delimiter=";", decimal_char=",")
    )
    mapped = models.ColumnNameMappingGeneric(file_column_name="w", column_title="v")
    content = io.BytesIO()
    pq.write_table(indexed([(1, 0, 0)], w=pa.array([2.5])), content)
    await client.update(
        bm.id,
        {"update": ["v"]},
        content.getvalue(),
        input_options=models.InputOptionsParquet(column_name_mapping=[mapped]),
    )
    asked = models.QueryCriteria(columns=["v"], output_options=models.OutputOptionsCSV(delimiter=";"))
    found = await client.versions.query_block_model_latest_as_post(
        bm_id=str(bm.id), query_criteria=asked, **client.place
    )
    payload = await client.ended(bm.id, UUID(str(found.job_url).rsplit("/", 1)[1]))
    assert await download(client, str(payload.download_url)) == "i;j;k;v\r\n0;0;0;1.5\r\n1;0;0;2.5\r\n"


SCENARIOS: list[Callable[[Client], Awaitable[None]]] = [
    what_versions_changed,
    what_clients_leave_out,
    health_and_lists,
    tables_of_every_kind,
    columns_change,
    wrong_files,
    two_at_once,
    a_large_table,
    who_may,
    columns_in_groups,
    reports_by_the_generated_calls,
    models_as_data_frames,
]


async def tried(scenario: Callable[[Client], Awaitable[None]]) -> None:
    """Go through one scenario and print its line."""
    try:
        async with Client() as client:
            await asyncio.wait_for(scenario(client), 90)
        wrong = None
    except Exception:  # noqa: BLE001 - whatever went wrong is the answer
        wrong = traceback.format_exc()
    sys.stdout.write(json.dumps([scenario.__name__, wrong]) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Go through the scenarios that are asked for, all at once: they wait for jobs most of the time."""
    SETTINGS.update(json.loads(sys.argv[1]))
    wanted = SETTINGS.get("scenarios") or [one.__name__ for one in SCENARIOS]
    await asyncio.gather(*(tried(one) for one in SCENARIOS if one.__name__ in wanted))


if __name__ == "__main__":
    asyncio.run(main())
