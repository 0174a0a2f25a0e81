"""`ganger simulate` and `ganger why`, as an operator meets them: a trace, this installation's past, fleets that are not there."""

import importlib.util
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from ganger.cli import program
from ganger.errors import UsageError
from scheduler.replay.fleet import UNLIMITED, read_fleet
from scheduler.replay.history import jobs_of_history, nodes_of_fleet
from tests.support.api import Api
from tests.support.api_process import serving
from tests.support.cluster import Cluster

TRACE = "; MaxProcs: 4\n" + "\n".join(
    f"{n} {n} -1 100 {1 + n % 4} -1 -1 {1 + n % 4} 200 -1 1 {n % 2} -1 2 -1 -1 -1 -1" for n in range(1, 40)
)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.swf"
    path.write_text(TRACE)
    return path


def simulate(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(program.app, ["simulate", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.stdout


def test_a_trace_is_replayed_under_all_policies_on_the_machine_it_names(trace: Path) -> None:
    found = json.loads(simulate(trace, "--json"))
    assert (found["nodes"], found["jobs"]) == (1, 39)
    assert [one["policy"] for one in found["policies"]] == ["ganger", "easy", "fcfs"]
    assert {one["jobs"] for one in found["policies"]} == {39}
    assert simulate(trace, "--json") == json.dumps(found) + "\n", "the same again"
    text = simulate(trace, "--policy", "easy")
    assert "mean wait" in text
    assert "easy: waiting (up to" in text


def test_more_nodes_shorten_the_waits_and_drained_ones_lengthen_them(trace: Path) -> None:
    def mean_wait(*words: Any) -> Any:
        return json.loads(simulate(trace, "--policy", "ganger", "--json", *words))["policies"][0]["mean_wait_s"]

    usual = mean_wait("--nodes", "2x4cpus,8gib")
    assert mean_wait("--nodes", "2x4cpus,8gib", "--add", "4cpus") < usual
    assert mean_wait("--nodes", "2x4cpus,8gib", "--drain", "node-1") > usual


def test_jobs_too_wide_for_the_fleet_are_counted_and_said(trace: Path) -> None:
    words = (trace, "--nodes", "2cpus", "--policy", "easy")
    found = json.loads(simulate(*words, "--json"))
    assert (found["jobs"], found["left_out"]) == (19, {"never_ran": 0, "no_processors": 0, "too_wide": 20})
    assert simulate(*words).splitlines()[-1] == (
        "20 jobs of the trace left out: 20 wider than the 2 cpus that all nodes have together."
    )
    wide = json.loads(simulate(*words, "--add", "4cpus", "--json"))
    assert (wide["left_out"]["too_wide"], wide["policies"][0]["jobs"]) == (0, 39), "added nodes count"


def test_a_replay_in_which_nothing_ran_is_the_answer_no(trace: Path) -> None:
    words = (trace, "--policy", "easy", "--drain", "machine")
    found = json.loads(simulate(*words, "--json", status=1))["policies"][0]
    assert (found["jobs"], found["left"], found["mean_wait_s"], found["utilisation"]) == (0, 39, None, None)
    text = simulate(*words, status=1)
    assert text.splitlines()[1].split() == ["easy", "0", *["-"] * 5]
    assert "39 jobs never started" in text


def test_a_plot_that_could_not_be_written_costs_no_replay(trace: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    for name, why in (("folder.svg", "Is a directory"), ("nowhere/a.svg", "No such file or directory")):
        with pytest.raises(UsageError, match=f"--plot: .* cannot be written: {why}"):
            simulate(trace, "--plot", tmp_path / name)
    with pytest.raises(UsageError, match="no node"):
        simulate(trace, "--nodes", "0.5cpus", "--plot", tmp_path / "b.svg")
    assert not (tmp_path / "b.svg").exists()


def test_the_course_is_drawn(trace: Path, tmp_path: Path) -> None:
    simulate(trace, "--policy", "easy", "--policy", "ganger", "--plot", tmp_path / "course.svg")
    drawn = ET.fromstring((tmp_path / "course.svg").read_text())  # noqa: S314 - our own
    assert len(drawn.findall(".//{*}polyline")) == 4


def test_a_png_is_drawn_where_the_extra_is_there_and_else_it_is_said_which(trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "course.png"
    if importlib.util.find_spec("resvg_py") is None:
        with pytest.raises(UsageError, match=r"ganger-server\[plot\]"):
            simulate(trace, "--policy", "easy", "--plot", path)
    else:
        simulate(trace, "--policy", "easy", "--plot", path)
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "words", [(), ("--history", "T"), ("T", "--plot", "x.gif"), ("T", "--nodes", "many"), ("T", "--nodes", "x=y"), ("T", "--drain", "nobody")]
)  # fmt: skip
def test_what_makes_no_sense_is_refused(trace: Path, words: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError):
        simulate(*(trace if word == "T" else word for word in words))


def test_a_fleet_is_said_in_short() -> None:
    first, *_, last = read_fleet(["10x16cpus,64gib,2gpu,zone:a", "2*cpus=8,mem=32gib,disk=1tib,pool=big"])
    assert first.capacity.amounts() == {"cpus": 16_000, "mem": 65_536_000, "disk": UNLIMITED, "gpu": 2000}
    assert (first.labels, last.id, last.pool) == ({"zone": "a"}, 12, "big")
    assert last.capacity.amounts() == {"cpus": 8000, "mem": 32_768_000, "disk": 1_048_576_000}


def test_the_past_and_the_fleet_are_read_from_what_the_api_answers(
    api: Api, cluster: Cluster, database_url: str, broker_url: str, tmp_path: Path
) -> None:
    node = cluster.a_node("n1", labels={"zone": "a"})
    waits = api.a_job(held=True, hold_reason="look first", cpus_required=40)
    for _ in range(3):
        job = api.a_job(cpus_required=2, mem_required=10, timeout=60)
        cluster.tick()
        ref = cluster.execution_of(job["id"])
        cluster.claim(node, ref)
        cluster.report(node, ref)
    jobs = jobs_of_history(api.get("/jobs/").json["results"])
    assert len(jobs) == 3, "the one that never ran is left out"
    assert waits["id"] not in {one.id for one in jobs}
    assert jobs[0].requires.amounts()["cpus"] == 2000
    assert (jobs[0].timeout_s, jobs[0].project_id) == (60, 1)
    (here,) = nodes_of_fleet(api.get("/nodes/").json["results"])
    assert (here.name, here.pool, here.labels, here.capacity.cpus) == ("n1", "default", {"zone": "a"}, 4000)
    with serving(database_url, broker_url, tmp_path, API_WORKERS="1") as url:
        where = ("--url", url, "--token", api.secrets["admin"])
        found = json.loads(simulate("--history", "--policy", "ganger", "--add", "2x4cpus", "--json", *where))
        assert (found["nodes"], found["jobs"], found["policies"][0]["left"]) == (3, 3, 0)
        assert found["projects"] == ["default"]
        told = simulate("--history", "--policy", "ganger", "--nodes", "4x16cpus,64gib", *where)
        assert "never started" not in told, "disk that is not named is unlimited"
        assert "All jobs that the token may see are of the project default; others are not replayed." in told
        words = ["submit", "--dry-run", "--cpus", "3", *where, "--", "true"]
        tried = CliRunner().invoke(program.app, words, catch_exceptions=False)
        assert tried.stdout == "It would start on node n1: the only node with room for it.\n"
        words = ["submit", "--dry-run", "--cpus", "3", "--count", "2", *where]
        tried = CliRunner().invoke(program.app, [*words, "--", "true"], catch_exceptions=False)
        lines = tried.stdout.splitlines()
        assert [line.split(":")[0] for line in lines[:3]] == [
            "It would start on node n1", "It would wait", "  nearest",
        ]  # fmt: skip
        assert lines[3] == "  room is kept for it on n1"
        assert lines[4].startswith("  expected to start in ")
        assert lines[5] == "  it could start at once if you ask for at most 1 cpu"
        tried = CliRunner().invoke(program.app, [*words, "--json", "--", "true"], catch_exceptions=False)
        assert [json.loads(line)["would"] for line in tried.stdout.splitlines()] == ["start", "wait"]
        words = ["submit", "--dry-run", "--strict", "--cpus", "99", *where, "--", "true"]
        tried = CliRunner().invoke(program.app, words, catch_exceptions=False)
        assert (tried.exit_code, tried.stdout.split(":")[0]) == (4, "It would be refused")
        told = CliRunner().invoke(program.app, ["why", str(waits["id"]), *where], catch_exceptions=False).stdout
    assert told.splitlines() == [
        "It waits: it is held: look first.",
        "  also: it asks for more than any node has, so it cannot be placed; even empty, n1 lacks 36 cpus",
        "  nearest: n1 comes closest: it is too small for it, even empty; n1 lacks 36 cpus",
        "  it could start at once if you release it, and ask for at most 4 cpus",
    ]


def test_a_pool_that_follows_demand_is_held_against_fixed_sizes(trace: Path) -> None:
    words = (trace, "--pool-max", 6, "--template", "cpus=4,mem=8192")
    found = json.loads(simulate(*words, "--set", "idle_s=20", "--fixed", 6, "--json"))
    following, most = found["sizes"]
    assert (found["jobs"], following["size"], most["size"]) == (39, "0 to 6", "6")
    assert {following["jobs"], most["jobs"]} == {39}
    assert following["node_hours"] < most["node_hours"]
    assert following["mean_wait_s"] >= most["mean_wait_s"]
    assert simulate(*words, "--set", "idle_s=20", "--fixed", 6, "--json") == json.dumps(found) + "\n", "the same again"
    told = simulate(*words).splitlines()
    assert told[0].split() == [
        "nodes",
        "most",
        "node-hours",
        "used",
        "jobs",
        "mean",
        "wait",
        "p95",
        "wait",
        "max",
        "wait",
    ]
    assert len(told) >= 3, "by itself it is held against what it was on average, and its most"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--pool-max", "5"], "needs both"),
        (["--template", "4cpus"], "needs both"),
        (["--pool-max", "5", "--template", "2x4cpus"], "one node"),
        (["--pool-max", "5", "--pool-min", "6", "--template", "4cpus"], "above"),
        (["--pool-max", "5", "--template", "4cpus", "--set", "speed=9"], "target_wait_s"),
        (["--pool-max", "5", "--template", "4cpus", "--set", "idle_s=soon"], "NAME=NUMBER"),
        (["--pool-max", "5", "--template", "4cpus", "--nodes", "4cpus"], "no --nodes"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(trace: Path, words: list[Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        simulate(trace, *words)
