"""A node without a container runtime says so and is offered no containers; one that has no fetcher, no images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler import wire
from scheduler.cluster_state import ClusterState
from scheduler.leader import tick
from scheduler.nodes import registration
from scheduler.store.leader import lease
from tests.support.api import Api
from tests.support.cluster import JOINING
from workers.agent import setup
from workers.agent.setup import NodeSetup
from workers.agent.slots import PositionFile
from workers.paths import Paths
from workers.runners import images, oci

IMAGE = "registry.invalid/x:1"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeSetup:
    """A machine on whose PATH there is nothing."""
    for module, found in ((oci, oci.engine), (images, images.tool)):
        monkeypatch.setattr(module, "PATH", str(tmp_path / "empty"))
        monkeypatch.setattr(module, found.__name__, found.__wrapped__)  # without what this process remembers
    return NodeSetup(Paths(str(tmp_path), str(tmp_path), str(tmp_path)), None, "disk", 0, PositionFile(tmp_path))


def labels(found: dict[str, str]) -> dict[str, str]:
    return {f"runner.{name}": how for name, how in found.items()}


def placed_on(api: Api, job: dict[str, Any]) -> str | None:
    """Let the scheduler think once; return the node that the job went to."""
    with api.rt.db.begin() as tx:
        term = lease.take_over(tx, "test", lease.read(tx))
    assert term is not None
    tick.tick(api.rt, ClusterState(api.rt.settings), term, lambda _: None)
    rows = api.query(
        "SELECT n.name FROM executions e JOIN nodes n ON n.id = e.node_id WHERE e.job_id = :id", id=job["id"]
    )
    return rows[0].name if rows else None


def a_node(api: Api, name: str, known: dict[str, str]) -> None:
    amounts = {"cpus": 8000, "mem": 8_000_000, "disk": 8_000_000}
    message = {"name": name, "hostname": name, "boot_id": "b", "disk_id": name, "amounts": amounts, "labels": known}
    registration.register(api.rt, JOINING, wire.NodeRegistration.model_validate(message))


def test_a_machine_without_a_runtime_offers_commands_and_python_and_says_what_is_missing(bare: NodeSetup) -> None:
    found, lacks = setup.runners(bare)
    assert set(found) == {"command", "python"}
    assert lacks == {"container": "no containers run here: there is neither runc nor crun"}


def test_containers_wait_for_a_node_that_has_what_they_need(api: Api, bare: NodeSetup) -> None:
    found, _ = setup.runners(bare)
    a_node(api, "bare", labels(found))
    folder = api.a_job(command=["true"], image="dir:/srv/root")
    image = api.a_job(command=["true"], image=IMAGE)
    assert placed_on(api, folder) is placed_on(api, image) is None
    told = api.get(f"/jobs/{image['id']}/explain/")
    assert "runner.container" in told.text, told.text
    a_node(api, "with-runc", labels({**found, "container": "runc"}))
    assert (placed_on(api, folder), placed_on(api, image)) == ("with-runc", None)
    a_node(api, "with-podman", labels({**found, "container": "runc", "container.fetch": "podman"}))
    assert placed_on(api, image) == "with-podman"
