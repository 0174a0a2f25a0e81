"""A real node process with its real supervisor, against a small API that can misbehave."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.wire import OutputSpec
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import FIRST, a_key
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess, an_input, sleeps, witnessed
from tests.support.servers import state_folder

pytestmark = pytest.mark.slow

KEY = FIRST
CONTENT = b"three\nlines\nhere\n"
SHA = hashlib.sha256(CONTENT).hexdigest()
COPY = [OutputSpec(name="copy", type="file", glob="copy.txt")]


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    api.files[7] = CONTENT
    yield api
    api.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@pytest.fixture
def node(api: FakeNodeApi, folder: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(folder, api.url)
    yield node
    node.close()


def all_gone(node: NodeProcess) -> Callable[[], bool]:
    return lambda: not node.leftovers()


def test_files_go_in_and_out_and_every_phase_s_command_runs(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    script = "cat ${job_input_dir}/in/in.txt > ${job_output_dir}/copy.txt; echo '%s' > ${job_output_dir}/results.json"
    manifest = '{"properties": {"rows": 3}, "message": "fine"}'
    api.place(
        a_spec(
            job=witnessed(node, script % manifest),
            inputs=[an_input("in", 7, CONTENT, SHA)],
            outputs=[*COPY, OutputSpec(name="rows", type="property")],
            pre=["/bin/sh", "-c", "echo before"],
            post=["/bin/sh", "-c", "echo after; cat ${job_output_dir}/copy.txt"],
            cleanup=["/bin/echo", "swept"],
        )
    )
    report = api.report()
    assert report.outcome == Outcome.COMPLETED, report
    assert (report.properties, report.message) == ({"rows": 3}, "fine")
    by_name = {output.name: output for output in report.outputs}
    assert api.files[by_name["copy"].file_id or 0] == CONTENT
    assert by_name["rows"].value == 3
    assert [api.text(KEY, phase) for phase in ("pre", "post", "cleanup")] == [
        b"before\n",
        b"after\n" + CONTENT,
        b"swept\n",
    ]
    phases = [report.phases[name] for name in ("pre", "job", "post")]
    times = [time for phase in phases for time in (phase.started, phase.completed) if time is not None]
    assert (len(times), times) == (6, sorted(times))
    assert [phase.exit_code for phase in phases] == [0, 0, 0]
    api.wait(all_gone(node))


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ([an_input("in", 7, CONTENT, "0" * 64)], "checksum"),
        ([an_input("in", 7, CONTENT, SHA, size=5)], "checksum"),
        ([an_input("in", 8, CONTENT, SHA)], "staging"),
        ([an_input("../in", 7, CONTENT, SHA)], "staging"),
    ],
)
def test_an_input_that_is_not_what_it_should_be_fails_the_pre_phase(
    api: FakeNodeApi, node: NodeProcess, inputs: Any, error: str
) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, ""), inputs=inputs))
    report = api.report()
    assert (report.outcome, report.error) == ("failed", error)
    assert node.starts() == []


def test_a_job_out_of_time_fails_by_its_limit_and_leaves_no_process(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    limits = {"timeout_s": 0.3, "grace_s": 0.1}
    api.place(a_spec(job=witnessed(node, "trap '' TERM; (sleep 777) & sleep 777"), limits=limits))
    report = api.report()
    assert (report.outcome, report.error, report.phases["job"].signal) == ("failed", "timeout", 9)


def test_a_cancelled_job_dies_with_its_grandchild(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "(setsid sleep 777 &) ; echo ready; sleep 777")))
    api.wait(lambda: api.text() == b"ready\n")
    api.cancel(KEY, grace_s=0.2)
    assert api.report().outcome == Outcome.CANCELED
    assert not sleeps(777)


def test_a_cancel_ends_staging_that_waits_for_the_api(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.files[7] = CONTENT
    api.hooks["download"] = lambda: api.cancel(KEY)
    api.place(a_spec(job=witnessed(node, ""), inputs=[an_input("in", 7, CONTENT, SHA, size=1 << 40)]))
    assert api.report().outcome in {"canceled", "failed"}
    assert node.starts() == []


def test_a_cancel_ends_collecting_that_waits_for_the_api(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.status["files"] = 503
    api.place(a_spec(job=witnessed(node, "echo x > ${job_output_dir}/copy.txt"), outputs=COPY))
    api.wait(lambda: api.calls["files"] >= 1)
    api.cancel(KEY)
    report = api.report()
    assert (report.outcome, report.outputs) == ("canceled", [])


@pytest.mark.parametrize("step", ["claim", "download", "output", "files", "report"])
def test_a_job_runs_exactly_once_whichever_call_the_agent_dies_in(
    api: FakeNodeApi, node: NodeProcess, step: str
) -> None:
    node.start()
    api.hooks[step] = node.kill
    api.place(
        a_spec(
            job=witnessed(node, "echo said; cp ${job_input_dir}/in/in.txt ${job_output_dir}/copy.txt"),
            inputs=[an_input("in", 7, CONTENT, SHA)],
            outputs=COPY,
        )
    )
    api.wait(lambda: step not in api.hooks)
    node.start()
    api.wait(lambda: len(api.registers) > 1)  # the report may have come from the first life
    report = api.report()
    assert report.outcome == Outcome.COMPLETED, report
    assert node.starts() == ["1.1"]
    assert api.text() == b"said\n"
    api.wait(all_gone(node))
    assert api.registers[-1].held[0].token == api.tokens[KEY]


def test_running_jobs_are_taken_up_again_after_every_death_of_the_agent(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    go = node.witness.parent / "go"
    script = f"echo one; while [ ! -e {go} ]; do sleep 0.05; done; echo two"
    api.place(*[a_spec(a_key(number, 1), job=witnessed(node, script)) for number in range(1, 6)])
    api.wait(lambda: all(api.text(a_key(number, 1)) == b"one\n" for number in range(1, 6)))
    for _ in range(3):
        seen = len(api.registers)
        node.kill()
        node.start()
        api.wait(lambda: len(api.registers) > seen)  # noqa: B023  called right here
        assert len(api.registers[-1].held) == 5
    go.touch()
    for number in range(1, 6):
        assert api.report(a_key(number, 1)).outcome == Outcome.COMPLETED
        assert api.text(a_key(number, 1)) == b"one\ntwo\n"
    assert sorted(node.starts()) == [f"{number}.1" for number in range(1, 6)]


def test_a_lost_answer_to_a_claim_is_asked_for_again_with_the_same_token(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.faults["claim"] = ["drop", "500"]
    api.place(a_spec(job=witnessed(node, "")))
    assert api.report().outcome == Outcome.COMPLETED
    assert node.starts() == ["1.1"]
    assert len(api.claims) >= 2


def test_a_lost_answer_to_a_report_only_repeats_the_report(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.faults["report"] = ["drop", "drop"]
    api.place(a_spec(job=witnessed(node, "")))
    api.wait(lambda: api.report_count[KEY] >= 3)
    api.wait(all_gone(node))
    assert node.starts() == ["1.1"]


def test_a_replaced_node_kills_what_it_holds_and_starts_over(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 888")))
    api.wait(lambda: api.text() == b"ready\n")
    api.faults["beat"] = ["replaced"]
    api.wait(lambda: len(api.registers) == 2)
    assert api.registers[1].held == []
    assert not sleeps(888)
    assert KEY not in api.reports
    api.place(a_spec(a_key(2, 1), job=witnessed(node, "")))
    assert api.report(a_key(2, 1)).outcome == Outcome.COMPLETED


def test_what_the_scheduler_took_away_while_the_agent_was_dead_is_killed(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 889")))
    api.wait(lambda: api.text() == b"ready\n")
    node.kill()
    api.kill.append(KEY)
    node.start()
    api.wait(lambda: len(api.registers) == 2)
    api.wait(lambda: api.beats[-1].holding == 0)
    assert not sleeps(889)
    assert KEY not in api.reports


def test_output_beyond_its_limit_is_counted_and_never_blocks_the_program(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "head -c 30000000 /dev/zero | tr '\\0' x"), limits={"output_bytes": 1000}))
    assert api.report().outcome == Outcome.COMPLETED
    text = api.text()
    assert text.startswith(b"x" * 1000 + b"\n[ganger: the output limit of 1000 bytes")
    assert b"29998000 bytes are left out here" in text


def test_progress_is_seen_while_the_job_runs(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(
        a_spec(FIRST, job=witnessed(node, "echo GANGER_PROGRESS 40 halfway; sleep 60")),
        a_spec(a_key(2, 1), job=witnessed(node, "echo '70 more' > progress; sleep 60")),
    )
    wanted = {(1, 40.0, "halfway"), (2, 70.0, "more")}
    api.wait(
        lambda: wanted <= {(one.execution_id, one.percent, one.note) for beat in api.beats for one in beat.progress}
    )


def test_the_death_of_the_supervisor_is_an_outcome_of_its_own(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 890")))
    api.wait(lambda: api.text() == b"ready\n")
    os.kill(node.supervisor_pid(), signal.SIGKILL)
    report = api.report()
    assert (report.outcome, report.error) == ("failed", "supervisor-lost")
    assert not sleeps(890)
    api.place(a_spec(a_key(2, 1), job=witnessed(node, "")))
    assert api.report(a_key(2, 1)).outcome == Outcome.COMPLETED


def test_a_node_that_cannot_reach_the_api_says_so_once_and_keeps_trying(api: FakeNodeApi, node: NodeProcess) -> None:
    api.down = True
    node.start()
    api.wait(lambda: api.calls["register"] >= 2)
    assert node.process is not None
    assert node.process.poll() is None
    api.down = False
    api.place(a_spec(job=witnessed(node, "")))
    assert api.report().outcome == Outcome.COMPLETED
    said = [line["event"] for line in node.said()]
    assert said.count("api.unreachable") == said.count("api.back") == 1


def test_a_node_cut_off_ends_its_work_by_itself_before_its_lease_is_over(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 891"), limits={"lease_s": 3}))
    api.wait(lambda: api.text() == b"ready\n")
    api.down = True
    calls = api.calls["beat"]
    api.wait(lambda: api.calls["beat"] >= calls + 2)
    api.wait(lambda: not sleeps(891))
    api.down = False
    report = api.report()
    assert (report.outcome, report.error) == ("failed", "node-lost")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_degrades_the_node_but_loses_no_outcome(api: FakeNodeApi, folder: Path) -> None:
    node = NodeProcess(folder, api.url, min_free_disk=200)
    node.folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "ganger-test", node.folder], check=True)
    try:
        node.start()
        api.place(a_spec(job=witnessed(node, "echo ready; sleep 1.5; exit 5")))
        api.wait(lambda: api.text() == b"ready\n")
        with contextlib.suppress(OSError), (node.folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        api.wait(lambda: api.beats[-1].degraded)
        api.place(a_spec(a_key(2, 1), job=witnessed(node, "")))
        report = api.report()
        assert (report.outcome, report.phases["job"].exit_code) == ("failed", 5)
        assert (2, 1) not in api.claims
        (node.folder / "filler").unlink()
        assert api.report(a_key(2, 1)).outcome == Outcome.COMPLETED
    finally:
        node.close()
        subprocess.run(["umount", "-l", node.folder], check=True)


def test_a_second_agent_on_the_same_folder_is_refused(api: FakeNodeApi, node: NodeProcess, folder: Path) -> None:
    node.start()
    api.wait(lambda: api.registers)
    second = NodeProcess(folder, api.url).start()
    assert second.process is not None
    assert second.process.wait(20) == 2
    assert "Another agent is running" in node.log.read_text()


def test_a_folder_that_is_none_ends_with_one_clear_line(api: FakeNodeApi, folder: Path) -> None:
    (folder / "node").write_text("a file")
    node = NodeProcess(folder, api.url).start()
    assert node.process is not None
    assert node.process.wait(20) == 2
    assert "The node's folder" in node.log.read_text()
