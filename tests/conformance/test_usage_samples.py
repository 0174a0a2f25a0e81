"""The supervisor tells what a run uses while it runs, where its kind of tree can."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import supervised
from tests.support.supervised import Event, Stage
from workers.agent.supervisor_client.launch import SupervisorLostError

# A third of the time busy, and 48 MiB that were written to.
WORKS = """
kept = bytearray(os.urandom(1 << 20) * 48)
ready()
while True:
    until = time.monotonic() + 0.1
    while time.monotonic() < until: pass
    time.sleep(0.2)
"""


@pytest.fixture(params=["cgroup2", "cgroup1"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    try:
        with supervised.stage(tree=request.param) as found:
            yield found
    except SupervisorLostError as error:
        pytest.skip(f"NOT TESTED: {error}")


def samples(stage: Stage, tree: str, count: int) -> list[Event]:
    return [stage.hear("sample", tree) for _ in range(count)]


def test_what_a_program_uses_is_told_again_and_again(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run(WORKS, sample_s=1)])
    play.wait_ready()
    first, second = samples(stage, play.tree, 2)
    stage.supervision.kill([{"tree": play.tree, "grace_s": 0, "reason": "cancel"}])
    ended = stage.end(play)
    assert 1 <= first["seconds"] < second["seconds"] <= ended["seconds"]
    assert 0 < first["cpu_s"] < second["cpu_s"] <= ended["usage"]["cpu_s"] + 0.01
    assert 0.1 < (second["cpu_s"] - first["cpu_s"]) / (second["seconds"] - first["seconds"]) < 0.9
    if not any("memory" in sentence.lower() for sentence in stage.supervision.powers["missing"]):
        assert 48 <= second["mem_mib"] <= ended["usage"]["peak_mem_mib"] + 1
    assert (second["phase"], second["disk_mib"]) == ("job", None)
    assert first["at"] < second["at"]


def test_who_asks_for_none_gets_none(stage: Stage) -> None:
    silent, told = stage.play(), stage.play()
    stage.supervision.start([silent.run(WORKS), told.run(WORKS, sample_s=1)])
    silent.wait_ready()
    samples(stage, told.tree, 2)
    assert [one["tree"] for one in stage.events if one["ev"] == "sample"] == [told.tree] * 2


def test_whoever_hears_late_hears_of_the_end_and_no_old_samples(stage: Stage) -> None:
    play = stage.play()
    stage.supervision.start([play.run(WORKS, sample_s=1)])
    samples(stage, play.tree, 1)
    assert [one["ev"] for one in stage.supervision.list_runs()] == ["started"]


def test_disk_is_told_where_it_is_measured(stage: Stage) -> None:
    play = stage.play()
    work = play.folder / "work"
    work.mkdir()
    code = f"open({str(work / 'file')!r}, 'wb').write(os.urandom(3 << 20)); ready(); rest()"
    stage.supervision.start([play.run(code, sample_s=1, folder=str(play.folder))])
    play.wait_ready()
    found = next(one for one in samples(stage, play.tree, 4) if one["disk_mib"])
    assert 3 <= found["disk_mib"] < 4
