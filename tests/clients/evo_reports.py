"""The published `evo-blockmodels` client makes reports, by its generated calls and by its classes for data frames."""

from __future__ import annotations

import asyncio
import math
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
from evo.blockmodels.endpoints import models
from evo.blockmodels.endpoints.api import ReportsApi, UnitsApi
from evo.blockmodels.typed import (
    Aggregation,
    RegularBlockModel,
    RegularBlockModelData,
    ReportCategorySpec,
    ReportColumnSpec,
    ReportSpecificationData,
    Units,
)
from evo.common import StaticContext
from evo.common.exceptions import BadRequestException, NotFoundException

from tests.clients.evo_client import Client, indexed, raises


def a_table() -> pa.Table:
    """Return twelve blocks with grades, densities and rocks; one has no rock, one no grade, one a negative one."""
    rows = [(i, j, 0) for j in range(3) for i in range(4)]
    grades = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None, -1.0, 0.5, 1.5, 2.5, 3.5]
    return indexed(
        rows,
        grade=pa.array(grades),
        density=pa.array([2.0] * 6 + [4.0] * 5 + [None]),
        rock=pa.array(["ore"] * 6 + ["waste"] * 5 + [None]),
        zone=pa.array([1, 2] * 6, pa.int8()),
    )


async def reports_by_the_generated_calls(client: Client) -> None:
    """A report is specified, run, read, changed, and its results are compared; its figures are those of a plain sum."""
    units = {"grade": "g/t", "density": "t/m3"}
    bm, version = await client.a_model(initial_data=a_table(), units=units, size_unit_id="m")
    ids = {column.title: UUID(column.col_id) for column in version.columns}
    api, place = ReportsApi(client.connector), {"bm_id": str(bm.id), **client.place}

    def asked(kind: Any, **said: Any) -> Any:
        columns = [
            models.ReportColumn(col_id=ids["grade"], label="Average", aggregation=models.ReportAggregation.MASS_AVERAGE, output_unit_id="ppm[mass]"),
            models.ReportColumn(col_id=ids["grade"], label="Content", aggregation=models.ReportAggregation.SUM, output_unit_id="kg"),
        ]  # fmt: skip
        categories = [models.ReportCategory(col_id=ids[name], label=name) for name in ("rock", "zone")]
        given = {"name": "Gold ü", "columns": columns, "categories": categories, "mass_unit_id": "t",
                 "density_col_id": ids["density"], "autorun": False, **said}  # fmt: skip
        return kind(**given)

    made = await api.create_report_specification(
        create_report_specification=asked(models.CreateReportSpecification), run_now=True, **place
    )
    assert (made.revision, made.autorun, made.name) == (0, False, "Gold ü")
    rs = str(made.report_specification_uuid)
    run = await client.ended(bm.id, UUID(str(made.job_url).rsplit("/", 1)[1]))
    assert (run.version_id, run.report_specification_uuid) == (2, made.report_specification_uuid), run
    got = await api.get_report_result(rs_id=rs, report_result_uuid=str(run.report_result_uuid), **place)
    assert [column.label for column in got.value_columns] == ["Mass", "Average", "Content"]
    rows = {tuple(row.categories): [cell.value for cell in row.values] for row in got.result_sets[0].rows}
    block = 1.0 * 2.5 * 0.5  # cubic metres; the model's blocks
    table = [one for one in a_table().to_pylist() if one["rock"] and one["grade"] is not None and one["grade"] >= 0]
    for key in {(one["rock"], one["zone"]) for one in table} | {("ore", None), ("waste", None), (None, None)}:
        inside = [one for one in table if key[0] in {None, one["rock"]} and key[1] in {None, one["zone"]}]
        mass = sum(one["density"] for one in inside) * block
        content = sum(one["density"] * block * one["grade"] for one in inside)  # tonnes of g/t: grams
        for value, wanted in zip(rows.pop(key), (mass, content / mass, content / 1_000), strict=True):
            assert math.isclose(value, wanted), (key, value, wanted)
    assert rows == {}, rows
    assert {one.warning_type.value: one.occurrences for one in got.warnings} == {
        "INVALID_CATEGORY_VALUE": 13, "NULL_COLUMN_VALUE": 1, "NEGATIVE_COLUMN_VALUE": 1,
    }  # fmt: skip

    await _changed_and_compared(client, bm, version, asked, rs)


async def _changed_and_compared(client: Client, bm: Any, version: Any, asked: Any, rs: str) -> None:
    api, place = ReportsApi(client.connector), {"bm_id": str(bm.id), **client.place}
    ids = {column.title: UUID(column.col_id) for column in version.columns}
    block = 1.0 * 2.5 * 0.5
    cut = {"cutoff_col_id": ids["grade"], "cutoff_values": [2.0, 5.5, 99.0], "categories": None,
           "null_values_policy": models.CreateReportNullValuesPolicy.IGNORE_VALUE}  # fmt: skip
    changed = await api.update_report_specification(
        rs_id=rs, update_report_specification=asked(models.UpdateReportSpecification, **cut), **place
    )
    assert (changed.revision, changed.null_values_policy.value, changed.job_url) == (1, "IGNORE_VALUE", None)
    asked_for = await api.run_reporting_job(rs_id=rs, reporting_job_spec=models.ReportingJobSpec(), **place)
    cutoffs = await api.get_report_result(rs_id=rs, report_result_uuid=str(asked_for.report_result_uuid), **place)
    shown = [
        (one.cutoff_value, one.rows[0].categories, one.rows[0].values[0].value, one.rows[0].values[1].status.value)
        for one in cutoffs.result_sets
    ]
    assert shown == [(2.0, [], 14 * block, "OK"), (5.5, [], 2 * block, "OK"), (99.0, [], None, "NO_DATA")], shown

    await _compared(client, bm, version, rs, asked_for.report_result_uuid)
    listed = await api.get_report_results_list(rs_id=rs, limit=2, **place)
    assert ([one.version_id for one in listed.results], listed.total) == ([3, 2], 3)
    every = await api.list_block_model_report_specifications(**place)
    assert (every.total, every.results[0].last_result_version_id) == (1, 3)
    assert {one.unit_id for one in every.referenced_units} == {"ppm[mass]", "kg", "t"}
    assert (await api.get_report_specification(rs_id=rs, **place)).revision == 1
    await _refused(client, bm, version, asked, rs)


async def _compared(client: Client, bm: Any, version: Any, rs: str, first: str) -> None:
    api, place = ReportsApi(client.connector), {"bm_id": str(bm.id), **client.place}
    later = await client.models.update_block_model_columns(
        bm.id, indexed([(0, 0, 0)], grade=pa.array([11.0])), [], {"grade"}, update_type=models.UpdateType.merge
    )
    second = await api.run_reporting_job(
        rs_id=rs, reporting_job_spec=models.ReportingJobSpec(version_uuid=later.version_uuid), **place
    )
    await client.ended(bm.id, second.job_uuid)
    pair = models.ReportComparisonSpec(from_version_uuid=version.version_uuid, to_version_uuid=later.version_uuid)
    compared = await api.request_report_comparison(rs_id=rs, report_comparison_spec=pair, **place)
    sides = [str(compared.from_result_uuid), str(compared.to_result_uuid)]
    assert sides == [first, second.report_result_uuid]
    found = await api.get_report_result_comparison(
        rs_id=rs, var_from=str(compared.from_result_uuid), to=str(compared.to_result_uuid), decimal_places=2, **place
    )
    cell = found.result_sets[0].rows[0].values[0]
    assert (cell.from_value.value, cell.to_value.value, cell.percent.value) == (17.5, 20.0, 14.29), cell


async def _refused(client: Client, bm: Any, version: Any, asked: Any, rs: str) -> None:
    api, place = ReportsApi(client.connector), {"bm_id": str(bm.id), **client.place}
    ids = {column.title: UUID(column.col_id) for column in version.columns}
    cases: tuple[dict[str, Any], ...] = (
        {"mass_unit_id": "m"}, {"density_col_id": None}, {"density_col_id": ids["grade"]}, {"cutoff_values": [1.0]},
        {"columns": [models.ReportColumn(col_id=ids["rock"], label="x", aggregation=models.ReportAggregation.SUM, output_unit_id="")]},
        {"columns": [models.ReportColumn(col_id=ids["grade"], label="x", aggregation=models.ReportAggregation.MASS_AVERAGE, output_unit_id="kg")]},
        {"columns": [models.ReportColumn(col_id=uuid4(), label="x", aggregation=models.ReportAggregation.SUM, output_unit_id="")]},
        {"columns": []}, {"mesh_filter": models.MeshFilter(relation=models.MeshFilterRelation.INSIDE, uuid=uuid4())},
    )  # fmt: skip
    for wrong in cases:
        await raises(
            BadRequestException,
            api.create_report_specification(
                create_report_specification=asked(models.CreateReportSpecification, **wrong), **place
            ),
        )
    for call in (
        api.get_report_specification(rs_id=str(uuid4()), **place),
        api.get_report_result(rs_id=rs, report_result_uuid=str(uuid4()), **place),
        api.run_reporting_job(rs_id=rs, reporting_job_spec=models.ReportingJobSpec(version_uuid=uuid4()), **place),
    ):
        await raises(NotFoundException, call)
    known = {one.unit_id: one for one in await UnitsApi(client.connector).get_units(org_id=client.org)}
    assert {one.value for one in Units} <= known.keys()


async def models_as_data_frames(client: Client) -> None:
    """The typed classes: a model from a data frame, its changes, and a report that runs by itself with every version."""
    context = StaticContext.from_environment(
        environment=client.environment, connector=client.connector, cache=client.cache
    )
    frame = a_table().to_pandas()
    data = RegularBlockModelData(
        name=f"typed {uuid4().hex[:8]}", origin=(0, 0, 0), n_blocks=(4, 3, 2), block_size=(1, 1, 1), cell_data=frame,
        units={"density": "t/m3"}, rotations=[(models.RotationAxis.z, 30.0)],
    )  # fmt: skip
    model = await RegularBlockModel.create(context, data)
    await model.set_attribute_units({"grade": "g/t"})
    assert list((await model.to_dataframe(columns=["zone"]))["zone"]) == list(frame["zone"])
    box = models.BBox(**{f"{axis}_minmax": models.IntRange(min=0, max=0) for axis in "ijk"})
    assert len((await RegularBlockModel.get(context, model.id, columns=["grade"], bbox=box)).cell_data) == 1
    report = await model.create_report(
        ReportSpecificationData(
            name="Gold", columns=[ReportColumnSpec(column_name="grade", aggregation=Aggregation.MASS_AVERAGE, output_unit_id="g/t")],
            categories=[ReportCategorySpec(column_name="rock", values=["ore"])], mass_unit_id="kg", density_value=2.7, density_unit_id="t/m3",
        )
    )  # fmt: skip
    first = await report.refresh(poll_interval_seconds=0.1)
    row = first.to_dataframe(include_status=True).to_dict("records")[0]
    assert (row["rock"], row["Mass:status"].value, row["grade:status"].value) == ("ore", "OK", "OK"), first
    assert math.isclose(row["Mass"], 6 * 2_700)
    assert math.isclose(row["grade"], 3.5)
    again = await report.run()
    assert again.result_sets == first.result_sets, "a result is waited for by whoever asks for it at once"
    await model.add_attribute(frame[["i", "j", "k"]].assign(extra=1.0), "extra")
    bare = frame[["i", "j", "k"]]
    await model.update_attributes(bare, new_columns=[], delete_columns={"extra"})
    newest = (await model.get_versions())[0].version_id
    for _ in range(100):
        if {one.version_id for one in await report.list_results()} == {newest, newest - 1, newest - 2}:
            break
        await asyncio.sleep(0.1)  # the API of this client only tells who asks
    else:
        raise AssertionError("the report did not follow the versions")
    assert [one.name for one in await model.list_reports()] == ["Gold"]
