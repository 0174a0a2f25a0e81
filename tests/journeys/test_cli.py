"""`ganger` as a user and a script meet it: the real command as a process, against everything that `ganger up` starts."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganger import Client
from tests.support.installation import Installation
from tests.support.shell import WITHIN_S, Shell

SETTINGS = {"GANGER_LEASE_S": "90"}
"""No execution is given up while a busy machine starts the API again."""
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "kml-footprint"
SMALL = ("--cpus", "0.1", "--mem", "16", "--disk", "1")


@pytest.fixture(scope="module")
def ganger(installation: Installation) -> Shell:
    return Shell(installation)


@pytest.fixture(scope="module")
def client(installation: Installation) -> Iterator[Client]:
    token = Path(installation.ready["token_file"]).read_text().strip()
    with Client(installation.ready["url"], token) as api:
        yield api


@pytest.fixture(scope="module")
def footprint(ganger: Shell) -> str:
    """The job type of the example, added as its README says."""
    return ganger("types", "add", str(EXAMPLE / "job-type.json")).strip()


def submit(ganger: Shell, *words: str) -> int:
    return int(ganger("submit", *SMALL, *words))


def test_submitting_prints_the_id_and_nothing_else(ganger: Shell) -> None:
    ended = ganger.run("submit", *SMALL, "--", "true")
    assert ended.stdout.strip().isdecimal()
    assert ended.stderr == ""


def test_waiting_for_a_job_ends_as_the_job_does(ganger: Shell) -> None:
    done = ganger.run("submit", *SMALL, "--wait", "--", "true")
    assert done.stdout.strip().isdecimal()  # a script may take it as the id
    assert f"job {done.stdout.strip()} COMPLETED" in done.stderr
    assert (
        "exit code 7"
        in ganger.run("submit", *SMALL, "--max-tries", "1", "--wait", "--", "sh", "-c", "exit 7", status=7).stderr
    )


def test_a_job_that_never_ran_its_program_is_status_1(ganger: Shell, installation: Installation) -> None:
    command, environment = ganger.command("submit", *SMALL, "--held", "--name", "never", "--wait", "--", "true")
    waiting = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    held = installation.until(lambda: _named(ganger, "never"), "the held job")
    ganger("cancel", str(held["id"]))
    assert waiting.wait(WITHIN_S) == 1


def test_following_brings_both_outputs_and_the_exit_status(ganger: Shell) -> None:
    script = "echo to stdout; echo to stderr >&2; exit 5"
    ended = ganger.run("submit", *SMALL, "--max-tries", "1", "--follow", "--", "sh", "-c", script, status=5)
    assert ended.stdout == "to stdout\n"
    assert "to stderr\n" in ended.stderr


def test_following_lives_through_the_death_of_the_api(ganger: Shell, installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # a job sees no file of ours, but it may call
        call = f"import socket; socket.create_connection(('127.0.0.1', {listener.getsockname()[1]})).recv(1)"
        script = f'echo one; python3 -c "{call}"; echo two'
        command, environment = ganger.command("submit", *SMALL, "--follow", "--", "sh", "-c", script)
        following = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert following.stdout is not None
        assert following.stdout.readline() == "one\n"
        called, _ = listener.accept()
        installation.processes("api")[0].kill()
        called.close()
        rest, said = following.communicate(timeout=WITHIN_S)
    assert (following.returncode, rest) == (0, "two\n"), said


def test_ctrl_c_stops_waiting_and_leaves_the_job_alone(ganger: Shell, installation: Installation) -> None:
    command, environment = ganger.command("submit", *SMALL, "--name", "long", "--wait", "--", "sleep", "300")
    waiting = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job = installation.until(lambda: _named(ganger, "long", "RUNNING"), "the job to run")
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=WITHIN_S)
    assert waiting.returncode == 130
    assert f"ganger cancel {job['id']}" in said
    assert ganger.json("show", str(job["id"]))["status"] == "RUNNING"
    assert ganger("cancel", "--wait", str(job["id"])) == f"job {job['id']} CANCELED\n"
    assert ganger.json("show", str(job["id"]))["job_exes"][0]["status"] == "CANCELED"


def _named(ganger: Shell, name: str, status: str | None = None) -> dict[str, Any] | None:
    words = ["--status", status] if status else []
    return next((job for job in ganger.lines("jobs", *words) if job["name"] == name), None)


def test_json_is_one_document_or_a_line_each(ganger: Shell) -> None:
    job = ganger.json("submit", *SMALL, "--wait", "--", "true")
    assert job["status"] == "COMPLETED"
    assert ganger.json("show", str(job["id"]))["job_exes"][0]["job_exit_code"] == 0
    assert job["id"] in [one["id"] for one in ganger.lines("jobs", "--status", "completed")]
    assert ganger.lines("nodes")[0]["state"] == "READY"
    assert "command" in [one["name"] for one in ganger.lines("types")]
    assert ganger.json("why", str(job["id"]))["summary"]
    assert ganger.json("status")
    assert isinstance(ganger.lines("files"), list)


def test_jobs_are_found_by_label_and_newest_first(ganger: Shell) -> None:
    ids = [submit(ganger, "--label", "batch=night", "--", "true") for _ in range(3)]
    found = [int(line.split("\t")[0]) for line in ganger("jobs", "--label", "batch=night").splitlines()]
    assert found == ids[::-1]
    assert ganger("jobs", "--label", "batch=night", "--limit", "1").count("\n") == 1


def test_what_was_done_in_bulk_is_listed_and_taken_back(ganger: Shell) -> None:
    ganger("submit", *SMALL, "--count", "3", "--label", "batch=undone", "--held", "--", "true")
    ganger("cancel", "--label", "batch=undone", "--yes")
    newest = ganger.lines("operations")[0]
    assert (newest["kind"], newest["done"], newest["created_by"] != "") == ("cancel", 3, True)
    assert f"undo {newest['id']}" in ganger.run("operations", "show", str(newest["id"])).stderr
    assert ganger("operations", "undo", str(newest["id"]), "--yes") == "3 of 3 requeued\n"
    assert {one["status"] for one in ganger.lines("jobs", "--label", "batch=undone")} == {"QUEUED"}
    ganger("cancel", "--label", "batch=undone", "--yes")


def test_jobs_are_counted_searched_and_measured_and_acts_are_told(ganger: Shell) -> None:
    job = str(ganger.json("submit", *SMALL, "--name", "peculiar", "--wait", "--", "true")["id"])
    assert ganger.lines("search", "peculiar")[0]["id"] == job
    ganger.run("search", "nothing is called so", status=1)
    counted = {one["value"]: one["count"] for one in ganger.lines("jobs", "--name", "peculiar", "--group-by", "status")}
    assert counted == {"COMPLETED": 1}
    assert "group" in ganger.run("jobs", "--group-by", "moon", status=2).stderr
    assert "tries" in ganger("types", "stats", "command")
    assert ganger.json("types", "stats", "command", "--since", "1d")["runs"] >= 1
    assert ganger.json("me")["role"] == "admin"
    assert isinstance(ganger.lines("audit", "--since", "1d"), list)


def test_one_key_makes_one_job(ganger: Shell) -> None:
    key = f"key-{time.monotonic_ns()}"
    first = submit(ganger, "--key", key, "--", "true")
    assert submit(ganger, "--key", key, "--", "true") == first
    assert "key" in ganger.run("submit", *SMALL, "--key", key, "--", "false", status=4).stderr


def test_many_jobs_at_once_know_their_numbers(ganger: Shell) -> None:
    words = ("submit", *SMALL, "--count", "4", "--max-tries", "1", "--wait", "--", "sh", "-c", "exit $((INDEX % 2))")
    ended = ganger.run(*words, status=1)
    assert "2 of 4 jobs COMPLETED" in ended.stderr
    assert len(ended.stdout.split()) == 4
    assert ended.stderr.count("exit code 1") == 2


def test_logs_of_a_try_and_of_one_stream(ganger: Shell) -> None:
    script = 'echo "try $GANGER_ATTEMPT"; echo oops >&2; test "$GANGER_ATTEMPT" = 2'
    again = ("--retry-on", "ALGORITHM")
    job = str(ganger.json("submit", *SMALL, *again, "--wait", "--", "sh", "-c", script)["id"])
    assert ganger("logs", job, "--stream", "stdout") == "try 2\n"
    assert ganger("logs", job, "--try", "1", "--stream", "stdout") == "try 1\n"
    assert ganger("logs", job, "--stream", "stderr") == "oops\n"
    assert ganger("logs", "--follow", job, "--stream", "stdout") == "try 1\ntry 2\n"
    assert ganger.json("logs", job)["is_finished"] is True


def test_logs_are_cut_to_their_end_and_searched_over_all_tries(ganger: Shell) -> None:
    script = 'seq -f "line %g of try $GANGER_ATTEMPT" 3000; test "$GANGER_ATTEMPT" = 2'
    job = str(ganger.json("submit", *SMALL, "--retry-on", "ALGORITHM", "--wait", "--", "sh", "-c", script)["id"])
    assert ganger("logs", job, "--tail", "2") == "line 2999 of try 2\nline 3000 of try 2\n"
    assert ganger("logs", "--follow", job, "--try", "1", "--tail", "1") == "line 3000 of try 1\n"
    assert ganger("logs", job, "--since", "1h").count("\n") == 3_000
    assert ganger("logs", job, "--since", "2100-01-01") == ""
    assert ganger("logs", job, "--grep", "LINE (7|2998) ", "-i", "-n") == "7:line 7 of try 2\n2998:line 2998 of try 2\n"
    assert ganger("logs", job, "--grep", "line 2.*try", "--tail", "1") == "line 2999 of try 2\n"
    assert ganger("logs", job, "--grep", "line 5 ", "-F", "--every-try") == "2: line 5 of try 2\n1: line 5 of try 1\n"
    assert len(ganger.lines("logs", job, "--grep", "line")) == 3_000
    assert "no line" in ganger.run("logs", job, "--grep", "nothing such", status=1).stderr
    assert "pattern" in ganger.run("logs", job, "--grep", "(", status=4).stderr
    assert "grep PATTERN" in ganger.run("logs", "-f", job, "--grep", "x", status=2).stderr


def test_logs_of_a_job_that_has_not_run_are_a_negative_answer(ganger: Shell) -> None:
    job = str(submit(ganger, "--held", "--", "true"))
    assert "has not run" in ganger.run("logs", job, status=1).stderr
    ganger("cancel", job)


def test_a_held_job_waits_until_it_is_released(ganger: Shell) -> None:
    job = str(submit(ganger, "--held", "--", "true"))
    assert "held" in ganger("why", job)
    assert ganger("release", job) == "1 of 1 released\n"
    assert ganger("logs", "--follow", job) == ""
    assert ganger.json("show", job)["status"] == "COMPLETED"
    assert ganger("hold", job, status=1) == "0 of 1 held\n"


def test_a_token_that_is_made_works_until_it_is_revoked(ganger: Shell) -> None:
    made = ganger.json("tokens", "create", "--role", "viewer", "alice")
    assert "scheduler\tREADY" in ganger("status", "--token", made["token"])
    assert "submitter" in ganger.run("submit", "--token", made["token"], "--", "true", status=4).stderr
    assert made["id"] in [one["id"] for one in ganger.lines("tokens")]
    ganger("tokens", "revoke", str(made["id"]))
    assert ganger("tokens", "create", "--node", "n2").startswith("gn_")
    ganger.run("tokens", "create", "nobody", status=2)


def test_why_names_what_keeps_a_job_waiting(ganger: Shell) -> None:
    job = ganger("submit", "--cpus", "1000000", "--", "true").strip()
    assert "more than any node has" in ganger("why", job)
    ganger("cancel", job)
    assert ganger.run("submit", "--cpus", "1000000", "--strict", "--", "true", status=4).stderr.startswith("ganger: ")


def test_a_failed_job_gets_a_new_round(ganger: Shell) -> None:
    job = str(ganger.json("submit", *SMALL, "--max-tries", "1", "--wait", "--", "false", status=1)["id"])
    assert ganger("requeue", job) == "1 of 1 requeued\n"
    done = str(ganger.json("submit", *SMALL, "--wait", "--", "true")["id"])
    assert "only FAILED and CANCELED" in ganger.run("requeue", done, status=1).stderr


def test_many_jobs_are_chosen_by_the_filters_of_the_list(ganger: Shell) -> None:
    label = ("--label", "by-filter=yes")
    jobs = [submit(ganger, "--held", *label, "--", "true") for _ in range(3)]
    assert sorted(one["id"] for one in ganger.lines("jobs", *label)) == jobs
    assert ganger("cancel", *label, "--dry-run") == "3 jobs match\n"
    assert ganger.json("cancel", *label, "--dry-run") == {"dry_run": True, "count": 3}
    assert ganger("release", *label, "--status", "FAILED") == "0 of 0 released\n"
    assert ganger("hold", *label, "--reason", "not yet") == "0 of 3 held\n"  # they are
    assert ganger("cancel", *label, "--status", "queued", "--reason", "no need") == "3 of 3 canceled\n"
    ended = ganger.json("requeue", *label, "--priority", "7")
    assert (ended["status"], ended["done"]) == ("COMPLETED", 3)
    assert [one["priority"] for one in ganger.lines("jobs", *label)] == [7, 7, 7]


def test_a_job_says_on_the_command_line_what_the_api_takes(ganger: Shell) -> None:
    words = [
        "--held", "--hold-reason", "not yet", "--pre-timeout", "7", "--post-timeout", "8", "--grace", "9",
        "--max-processes", "50", "--max-open-files", "99", "--on-oom", "1.5:4096", "--prefer", "zone=a*3",
        "--apart", "node", "--spread", "rack", "--preemptible", "--env", "A=b", "--image", "dir:/srv/root", "--network", "none",
    ]  # fmt: skip
    job = ganger.json("submit", *SMALL, *words, "--", "true")
    wanted = {
        "hold_reason": "not yet", "pre_timeout": 7, "post_timeout": 8, "grace": 9, "max_processes": 50,
        "max_open_files": 99, "on_oom": {"mem_factor": 1.5, "mem_max": 4096}, "apart": "node", "spread": "rack",
        "preferences": [{"label": "zone", "op": "=", "value": "a", "weight": 3.0}], "preemptible": True,
        "environment": {"A": "b"}, "runner": "container", "options": {"image": "dir:/srv/root", "network": "none"},
    }  # fmt: skip
    assert {name: job[name] for name in wanted} == wanted
    ganger("cancel", str(job["id"]))
    assert "no secret 'nothing'" in ganger.run("submit", "--secret", "nothing", "--", "true", status=4).stderr


def test_a_person_is_asked_before_many_jobs_are_changed(ganger: Shell) -> None:
    job = submit(ganger, "--held", "--label", "ask=me", "--", "true")
    assert "cancel 1 job? [y/N]" in ganger.on_a_terminal("cancel", "--label", "ask=me", answer="n\n")
    assert ganger.json("show", str(job))["status"] == "QUEUED"
    assert "1 of 1 canceled" in ganger.on_a_terminal("cancel", "--label", "ask=me", answer="y\n")
    assert "0 of 1 canceled" in ganger.on_a_terminal("cancel", "--label", "ask=me", "--yes")


@pytest.mark.parametrize("words", [[], ["1", "--status", "QUEUED"], ["1", "--all"], ["--all", "--wait"]])
def test_it_must_be_said_which_jobs(ganger: Shell, words: list[str]) -> None:
    assert ganger.run("cancel", *words, status=2).stdout == ""


@pytest.mark.parametrize("command", ["show", "logs", "why", "cancel", "requeue"])
def test_a_job_that_does_not_exist_is_status_4(ganger: Shell, command: str) -> None:
    ended = ganger.run(command, "999999", status=4)
    assert ended.stdout == ""
    assert "999999" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_wrong_token_is_status_4_and_says_where_one_comes_from(ganger: Shell) -> None:
    assert "--token or GANGER_TOKEN" in ganger.run("jobs", "--token", "gu_wrong", status=4).stderr


def test_a_completed_job_cannot_be_canceled(ganger: Shell) -> None:
    job = str(ganger.json("submit", *SMALL, "--wait", "--", "true")["id"])
    assert "COMPLETED" in ganger.run("cancel", job, status=4).stderr


def test_the_example_runs_as_its_readme_says(ganger: Shell, footprint: str, tmp_path: Path) -> None:
    places = EXAMPLE / "data" / "airports.csv"
    words = ("-i", f"program=@{EXAMPLE / 'kml_footprint.py'}", "-i", f"places=@{places}", "--name", "airports")
    job = ganger.json("submit", "kml-footprint", *words, "--wait")
    outputs = {one["name"]: one["value"] for one in job["outputs"]}
    rows = len(places.read_text().splitlines()) - 1
    assert outputs["placemarks"] == rows
    target = tmp_path / "airports.kml"
    assert ganger("files", "get", str(outputs["footprint"]["id"]), "-o", str(target)) == f"{target}\n"
    assert target.read_text().count("<Placemark>") == rows
    assert hashlib.sha256(target.read_bytes()).hexdigest() == outputs["footprint"]["sha256"]
    target.write_text("mine")
    again = ganger.run("files", "get", str(outputs["footprint"]["id"]), "-o", str(target), status=2)
    assert "--force" in again.stderr


def test_the_example_of_the_python_client_runs_as_its_readme_says(installation: Installation) -> None:
    environment = {
        **os.environ,
        "GANGER_API_URL": (installation.root / "url").read_text().strip(),
        "GANGER_TOKEN": (installation.root / "tokens" / "admin").read_text().strip(),
    }
    program = EXAMPLE.parent / "python-client" / "pi.py"
    words = [sys.executable, str(program), "4"]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "pi is about 3.1" in ended.stdout


def test_a_table_that_is_none_ends_in_the_pre_phase(ganger: Shell, footprint: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("name,latitude,longitude\nNowhere,99,0\n")
    words = ("-i", f"program=@{EXAMPLE / 'kml_footprint.py'}", "-i", f"places=@{bad}", "--max-tries", "1")
    job = ganger.json("submit", "kml-footprint:1.0.0", *words, "--wait", status=3)
    assert job["job_exes"][0]["job_started"] is None
    assert "not on this earth" in ganger("logs", str(job["id"]), "--phase", "pre")


def test_inputs_are_checked_before_anything_is_sent(ganger: Shell, footprint: str) -> None:
    assert "it has: " in ganger.run("submit", "kml-footprint", "-i", "plces=@x", status=2).stderr
    assert "there is no file" in ganger.run("submit", "kml-footprint", "-i", "places=@/nowhere", status=2).stderr
    assert "there is no active job type" in ganger.run("submit", "nonsense", status=2).stderr


def test_job_types_are_checked_changed_and_paused(ganger: Shell, tmp_path: Path) -> None:
    definition = {"name": "greeting", "version": "1", "command": ["echo", "${word}"]}
    interface = {"version": "1.0", "input_data": [{"name": "word", "schema": {"type": "string"}}], "output_data": []}
    path = tmp_path / "greeting.json"
    path.write_text(json.dumps({**definition, "interface": interface}))
    ganger("types", "check", str(path))
    assert ganger("types", "add", str(path)) == "greeting:1\n"
    ganger.run("types", "add", str(path), status=4)
    assert ganger("types", "add", "--update", str(path)) == "greeting:1\n"
    assert ganger("submit", "greeting", "-i", "word=10", *SMALL, "--follow") == "10\n"
    ganger("types", "pause", "greeting", "--reason", "to be looked at")
    job = ganger("submit", "greeting", "-i", "word=hello", *SMALL).strip()
    assert "paused" in ganger("why", job)
    ganger("types", "resume", "greeting")
    assert ganger("logs", "--follow", job) == "hello\n"


def test_a_node_that_is_paused_gets_nothing_until_it_is_resumed(ganger: Shell) -> None:
    name = ganger.lines("nodes")[0]["name"]
    ganger("pause", name, "--reason", "new disk")
    assert ganger.json("nodes", "show", name)["pause_reason"] == "new disk"
    job = str(submit(ganger, "--", "true"))
    assert ganger.json("show", job)["status"] == "QUEUED"
    ganger("resume", name)
    assert ganger("logs", "--follow", job) == ""
    assert ganger.json("show", job)["status"] == "COMPLETED"
    ganger.run("nodes", "show", "nonsense", status=4)


def test_a_terminal_gets_tables_with_headings(ganger: Shell) -> None:
    shown = ganger.on_a_terminal("jobs")
    assert "STATUS" in shown
    assert "\t" not in shown
    assert "ganger logs -f" in ganger.on_a_terminal("submit", *SMALL, "--", "true")


def test_the_python_client_does_what_the_command_line_does(client: Client, ganger: Shell) -> None:
    from ganger import JobRequest  # noqa: PLC0415 - as an example shows it

    request = JobRequest(
        command=["sh", "-c", "echo $WORD"], environment={"WORD": "hello"}, cpus_required=0.1, mem_required=16
    )
    job = client.jobs.wait(client.jobs.submit(request).id, timeout_s=WITHIN_S)
    assert (job.status, client.logs.read(job.job_exes[0].id)) == ("COMPLETED", "hello\n")
    assert [one.event for one in client.jobs.events(job.id)][-1:] == ["COMPLETE"]
    assert next(client.jobs.executions(job.id)).status == "COMPLETED"
    ids = client.jobs.submit_many([request] * 3)
    assert {one.status for one in client.jobs.wait_all(ids, timeout_s=WITHIN_S).values()} == {"COMPLETED"}
