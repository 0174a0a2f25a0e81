"""Custom resources called like cpus, mem or disk: refused wherever somebody says one, with the field that is meant."""

from typing import Any

import pytest

from ganger.errors import UsageError
from tests.support.api import Api
from tests.support.cluster import Cluster

PLACES = [
    ("/jobs/", {"command": ["true"]}, "resources", ("cpus_required", "mem_required", "disk_out_required")),
    ("/job-types/", {"name": "t", "version": "1", "command": ["true"]}, "resources",
     ("cpus_required", "mem_required", "disk_out_const_required")),
    ("/pools/", {"name": "p"}, "template.resources", ("the template's cpus", "the template's mem", "the template's disk")),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "field", "instead"), PLACES)
def test_a_custom_resource_with_the_name_of_another_is_refused(
    api: Api, path: Any, body: Any, field: Any, instead: Any
) -> None:
    for name, one in zip(("cpus", "mem", "disk"), instead, strict=True):
        asked = {name: 2, "gpu": 1}
        more = {"template": {"cpus": 1, "resources": asked}} if field.startswith("template") else {"resources": asked}
        answer = api.post(path, {**body, **more})
        assert (answer.status_code, answer.json["field"]) == (400, field)
        assert answer.json["description"] == f"{field}: {name} is not a custom resource; use {one}"


def test_a_node_that_comes_with_one_is_refused(cluster: Cluster) -> None:
    amounts = {"cpus": 1000, "mem": 0, "disk": 0}
    with pytest.raises(ValueError, match="mem is not a custom resource"):
        cluster.a_node("n1", amounts={**amounts, "custom": {"mem": 1000}})
    assert cluster.a_node("n1", amounts={**amounts, "custom": {"gpu": 1000}}).node_id


def test_a_job_that_was_stored_with_one_is_placed_by_what_it_really_asks_for(api: Api, cluster: Cluster) -> None:
    cluster.a_node("n1")
    first = api.a_job()
    api.change("""UPDATE shapes SET custom = '{"cpus": 2000}'""")
    second = api.a_job(name="behind it")
    cluster.tick()
    assert {api.get(f"/jobs/{one['id']}/").json["status"] for one in (first, second)} == {"RUNNING"}


def test_the_command_line_names_the_option() -> None:
    from ganger.cli import options  # noqa: PLC0415 - only here

    with pytest.raises(UsageError, match="cpus is not a custom resource; use --cpus"):
        options.amounts(["cpus=2"])
    assert options.amounts(["gpu=2"]) == {"gpu": 2.0}
