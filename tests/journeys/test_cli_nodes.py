"""`ganger nodes` as a real command: who is here, who has left, and one warning for all nodes that lack the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import wire
from scheduler.admin import tokens
from scheduler.nodes import registration
from tests.support.api_process import serving
from tests.support.cluster import Cluster

BARE = {"tree": "pidns", "missing": ["Memory is not limited.", "Cpus are not limited."]}


@pytest.fixture
def environment(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    secret = tokens.ensure(database_url, kind="user", role="admin", project=None, name="admin", path=tmp_path / "admin")
    with serving(database_url, broker_url, tmp_path, API_WORKERS="1") as url:
        yield {**os.environ, "GANGER_API_URL": url, "GANGER_TOKEN": secret}


def test_nodes_that_lack_the_same_powers_share_one_warning(cluster: Cluster, environment: dict[str, str]) -> None:
    for name in ("a", "b"):
        cluster.a_node(name, powers=BARE)
    cluster.a_node("whole", powers={"tree": "cgroup2", "missing": []})
    gone = cluster.a_node("gone", powers=BARE)
    registration.leave(cluster.rt, gone.node_id, gone.epoch)

    def ganger(*words: str) -> tuple[list[str], list[str]]:
        command = [sys.executable, "-m", "ganger", "nodes", *words]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return [row.split("\t")[1] for row in ended.stdout.splitlines()], ended.stderr.splitlines()

    warning = "Memory is not limited. Cpus are not limited."
    assert ganger() == (["a", "b", "whole"], [f"warning: a, b: {warning}"])
    assert ganger("list", "--all") == (["a", "b", "gone", "whole"], [f"warning: a, b: {warning}"])
    assert ganger("show", "a")[1] == [f"warning: a: {warning}"]
    assert ganger("show", "whole")[1] == []
    assert ganger("show", "gone")[1] == []


def test_a_node_is_found_by_its_own_name_before_the_name_of_a_host(
    cluster: Cluster, environment: dict[str, str]
) -> None:
    for name, host in (("na", "vm"), ("vm", "vm"), ("nb", "other"), ("nc", "many"), ("nd", "many")):
        cluster.a_node(name, hostname=host)

    def show(name: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "ganger", "nodes", "show", name]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == status, ended.stderr
        return ended.stderr if status else dict(row.split("\t", 1) for row in ended.stdout.splitlines())["name"]

    gone = cluster.a_node("ne", hostname="other")
    registration.leave(cluster.rt, gone.node_id, gone.epoch)
    assert show("vm") == "vm"
    assert show("other") == "nb"
    assert show("none", status=4) == "ganger: there is no node 'none'\n"
    assert show("many", status=2) == "ganger: 'many' is the host of 2 nodes: nc, nd\n"


def test_a_node_that_is_called_like_the_id_of_another_is_the_one_that_is_drained(
    cluster: Cluster, environment: dict[str, str]
) -> None:
    first = cluster.a_node("0-listed-first")
    cluster.a_node(str(first.node_id))
    command = [sys.executable, "-m", "ganger", "drain", str(first.node_id)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == f"{first.node_id} draining\n"


def test_a_clock_that_is_off_is_told_of_in_nodes_and_in_status(cluster: Cluster, environment: dict[str, str]) -> None:
    for name, ahead_s in (("fast", 3600.0), ("right", 0.5), ("slow", -90.0)):
        cluster.beat(cluster.a_node(name), load={wire.CLOCK: time.time() + ahead_s})

    def ganger(*words: str) -> str:
        command = [sys.executable, "-m", "ganger", *words]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return ended.stderr if words != ("nodes", "show", "fast") else ended.stdout

    for said in (ganger("nodes"), ganger("status")):
        assert "clock of fast is about" in said
        assert "ahead of the server's" in said
        assert "clock of slow is about" in said
        assert "behind the server's" in said
        assert "right" not in said
    shown = dict(row.split("\t", 1) for row in ganger("nodes", "show", "fast").splitlines())
    assert 3590 < float(shown["clock_skew_s"]) < 3610
    assert "clock" not in shown.get("load", "")


def test_draining_says_what_follows_and_a_node_that_has_left_cannot_be_resumed(
    cluster: Cluster, environment: dict[str, str]
) -> None:
    cluster.a_node("a")
    cluster.a_node("b")
    gone = cluster.a_node("gone")
    registration.leave(cluster.rt, gone.node_id, gone.epoch)

    def ganger(*words: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "ganger", *words]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == status, ended.stderr
        return ended.stderr

    first = ganger("drain", "a")
    assert "`ganger resume a` takes it back" in first
    assert "no other node is ready" not in first
    assert "no other node is ready: jobs wait then" in ganger("drain", "b")
    assert ganger("resume", "a") == ""
    assert "gone has left" in ganger("resume", "gone", status=2)
