"""A day of work at the command line: failures that are explained, jobs that are found, ids and requests in pipes, jobs over files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganger import Client
from tests.support.installation import Installation
from tests.support.shell import WITHIN_S, Shell

SMALL = ("--cpus", "0.1", "--mem", "16", "--disk", "1")
TYPE = {
    "name": "count-lines", "version": "1.0.0", "command": ["sh", "${program}", "${table}", "${job_output_dir}"],
    "cpus_required": 0.1, "mem_required": 16, "disk_out_const_required": 1, "max_tries": 1,
    "interface": {
        "version": "1.0",
        "input_data": [{"name": "program", "type": "file"}, {"name": "table", "type": "file"}],
        "output_data": [{"name": "lines", "type": "file", "media_type": "text/plain", "glob": "lines.txt"}],
    },
}  # fmt: skip
PROGRAM = 'grep -q bad "$1" && { echo "bad line in $(basename $1)" >&2; exit 3; }; wc -l < "$1" > "$2/lines.txt"\n'


@pytest.fixture(scope="module")
def ganger(installation: Installation) -> Shell:
    return Shell(installation)


@pytest.fixture(scope="module")
def client(installation: Installation) -> Iterator[Client]:
    token = Path(installation.ready["token_file"]).read_text().strip()
    with Client(installation.ready["url"], token) as api:
        yield api


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ganger: Shell) -> Path:
    """A folder with a job type that is added, its program, and tables of which one is bad."""
    made = tmp_path_factory.mktemp("sweep")
    (made / "type.json").write_text(json.dumps(TYPE))
    (made / "program.sh").write_text(PROGRAM)
    (made / "data").mkdir()
    for number in range(12):
        (made / "data" / f"table-{number:02}.csv").write_text("bad\n" if number == 7 else "line\n" * (number + 1))
    ganger("types", "add", str(made / "type.json"))
    return made


def submit(ganger: Shell, *words: str) -> int:
    return int(ganger("submit", *SMALL, *words))


def test_a_program_that_is_not_there_is_named_wherever_a_person_looks(ganger: Shell) -> None:
    ended = ganger.run("submit", *SMALL, "--max-tries", "1", "--wait", "--", "nosuchprogram", status=1)
    job = ended.stdout.strip()
    for said in (
        ended.stderr,
        ganger("jobs", "--status", "FAILED", "--limit", "1"),
        ganger("show", job),
        ganger("why", job),
    ):
        assert "nosuchprogram: No such file" in said


def test_the_last_words_of_a_failed_job_are_shown_and_where_the_rest_is(ganger: Shell) -> None:
    script = "for i in $(seq 30); do echo line $i >&2; done; kill -9 $$"
    ended = ganger.run("submit", *SMALL, "--max-tries", "1", "--wait", "--", "sh", "-c", script, status=1)
    job = ended.stdout.strip()
    assert "SIGKILL" in ended.stderr
    assert "  line 30\n" in ended.stderr
    assert "  line 20\n" not in ended.stderr
    assert f"ganger logs {job}" in ended.stderr
    for command in ("show", "why"):
        said = ganger.run(command, job)
        assert "line 30" in said.stdout
        assert f"ganger logs {job}" in said.stderr
    followed = ganger.run(
        "submit", *SMALL, "--max-tries", "1", "--follow", "--", "sh", "-c", "echo x >&2; kill -9 $$", status=1
    )
    assert "SIGKILL" in followed.stderr


def test_jobs_are_shown_by_name_or_command_and_found_by_name(ganger: Shell) -> None:
    named, plain = (
        submit(ganger, "--name", "night run", "--label", "run=77", "--", "true"),
        submit(ganger, "--", "echo", "plain"),
    )
    assert (
        ganger("jobs", "--name", "night run", "-o", "id,name,type,label.run")
        == f"{named}\tnight run\tcommand:1.0\t77\n"
    )
    assert f"{plain}\techo plain\n" in ganger("jobs", "-o", "id,name")
    assert ganger("jobs", "--name", "night") == ""
    assert ganger("cancel", "--name", "night run", "--dry-run") == "1 job matches\n"
    assert "--columns takes some of" in ganger.run("jobs", "-o", "id,nonsense", status=2).stderr


def test_a_list_is_a_file_for_spreadsheets(ganger: Shell) -> None:
    job = submit(ganger, "--name", "=1+1", "--label", "sheet=1", "--", "true")
    lines = ganger("jobs", "--label", "sheet=1", "--csv").lstrip("\ufeff").splitlines()
    assert lines[0].startswith("id,name,status,")
    assert [line.split(",")[:2] for line in lines[1:]] == [[str(job), "'=1+1"]]
    assert "does not go with" in ganger.run("jobs", "--csv", "--json", status=2).stderr


def test_where_a_wait_went_is_listed_from_when_to_when(ganger: Shell) -> None:
    job = submit(ganger, "--held", "--", "true")
    ganger("release", str(job))
    rows = [line.split("\t") for line in ganger("why", str(job), "--history").splitlines()]
    assert "held" in {row[3] for row in rows}
    told = json.loads(ganger("why", str(job), "--history", "--json"))
    assert told["totals"][0]["seconds"] > 0
    assert "--hours goes with --balance" in ganger.run("queue", "--hours", "3", status=2).stderr


def test_times_name_their_zone(ganger: Shell, installation: Installation) -> None:
    there = Shell(installation, {"TZ": "Asia/Kolkata"})
    assert there("jobs", "-n", "1", "-o", "created").strip().endswith(" +05:30")
    assert there("jobs", "-n", "1", "-o", "created", "--utc").strip().endswith(" UTC")


@pytest.mark.parametrize("word", ["3h", "2d", "today", "yesterday", "PT3H", "2020-01-01", "2020-01-01T10:00"])
def test_since_is_understood_as_people_write_it(ganger: Shell, word: str) -> None:
    assert ganger("jobs", "--since", word, "-n", "1", "-o", "id").strip().isdecimal()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "FALIED"], "--status: 'FALIED' is not a status"),
        (["--label", "sweep"], "--label takes KEY=VALUE, not 'sweep'"),
        (["--since", "yesterdy"], "--since: 'yesterdy' is not a time such as 3h"),
        (["--order", "nonsense"], "--order: "),
    ],
)
def test_a_filter_that_can_be_none_is_wrong_use_and_says_what_is_accepted(
    ganger: Shell, words: list[str], said: str
) -> None:
    assert said in ganger.run("jobs", *words, status=2).stderr


def test_ids_and_requests_come_from_standard_input(ganger: Shell) -> None:
    requests = (
        '{"command": ["echo", "1"], "held": true}\n{"command": ["echo", "2"], "held": true, "labels": {"own": "yes"}}\n'
    )
    made = ganger.run("submit", "-", *SMALL, "--label", "from=input", stdin=requests).stdout
    assert [one["labels"] for one in ganger.lines("jobs", "--label", "from=input")] == [{"from": "input"}]
    assert ganger.run("show", "-", stdin=made.split()[0]).stdout.startswith(f"job\t{made.split()[0]}\n")
    assert ganger.run("release", "-", stdin=made).stdout == "2 of 2 released\n"
    listed = ganger("jobs", "--label", "own=yes", "--json")
    assert ganger.run("logs", "-", "--follow", stdin=listed).stdout == "2\n"
    both = json.dumps([{"command": ["true"]}, {"comand": ["true"]}])
    assert "[1].comand" in ganger.run("submit", "-", stdin=both, status=4).stderr
    assert (
        "line 2 of standard input is not JSON"
        in ganger.run("submit", "-", stdin='{"command": ["a"]}\n{', status=2).stderr
    )
    assert ganger.run("cancel", "-", stdin="", status=2).stderr == "ganger: standard input has no ids of jobs\n"


def test_the_output_of_many_jobs_is_followed_line_by_line(ganger: Shell) -> None:
    words = ("submit", *SMALL, "--count", "3", "--follow", "--", "sh", "-c", "echo one; printf two; echo err >&2")
    ended = ganger.run(*words)
    lines = [line.strip() for line in ended.stdout.splitlines()]
    ids = {line.split(" | ")[0] for line in lines}
    assert len(ids) == 3
    assert sorted(lines) == sorted(f"{one} | {word}" for one in ids for word in ("one", "two"))
    assert ended.stderr.count(" | err\n") == 3
    assert "3 of 3 jobs COMPLETED" in ended.stderr


def test_logs_are_printed_byte_by_byte(ganger: Shell) -> None:
    job = ganger("submit", *SMALL, "--wait", "--", "printf", r"\377\376\r\n").strip()
    command, environment = ganger.command("logs", job)
    assert (
        subprocess.run(command, env=environment, capture_output=True, timeout=WITHIN_S, check=True).stdout
        == b"\xff\xfe\r\n"
    )


def test_one_job_is_made_for_each_file_and_equal_files_are_stored_once(
    ganger: Shell, folder: Path, client: Client
) -> None:
    words = (
        "submit",
        "count-lines",
        "--each",
        f"{folder}/data/*.csv",
        "-i",
        f"program=@{folder}/program.sh",
        "--label",
        "run=7",
    )
    ids = ganger(*words).split()
    assert len(ids) == 12
    stored = (
        len(list(client.files.list(file_name="program.sh"))),
        len(list(client.files.list(file_name="table-03.csv"))),
    )
    assert stored == (1, 1)
    again = ganger(*words[:3], f"table={folder}/data/table-03.csv", *words[4:-2], "--wait").strip()
    assert client.jobs.get(int(again)).name == "table-03.csv"
    assert len(list(client.files.list(file_name="table-03.csv"))) == 1
    for one in ids:
        client.jobs.wait(int(one), timeout_s=WITHIN_S)
    assert ganger("jobs", "--label", "run=7", "--status", "FAILED", "-o", "name") == "table-07.csv\n"
    assert "bad line in table-07.csv" in ganger("why", ganger("jobs", "--name", "table-07.csv", "-o", "id").strip())


def test_outputs_of_many_jobs_are_fetched_at_once_and_only_once(ganger: Shell, folder: Path, client: Client) -> None:
    words = ("files", "get", "--label", "run=7", "-o", f"{folder}/results/")
    assert len(ganger(*words).split()) == 11
    jobs = {job.name: job.id for job in client.jobs.list(label="run:7")}
    lines = folder / "results" / str(jobs["table-03.csv"]) / "lines.txt"
    assert lines.read_text().strip() == "4"
    lines.unlink()
    assert "1 file fetched, 10 were here already" in ganger.run(*words).stderr
    lines.write_text("mine")
    assert "exists with other content" in ganger.run(*words, status=2).stderr
    ganger(*words, "--force")
    assert lines.read_text().strip() == "4"
    job = str(jobs["table-03.csv"])
    assert ganger("files", "get", "--job", job, "-o", f"{folder}/one/") == f"{folder}/one/lines.txt\n"
    assert ganger("files", "list", "--job", job).split("\t")[2] == job
    assert "no outputs" in ganger.run("files", "get", "--job", str(jobs["table-07.csv"]), status=1).stderr
    assert "there is no job 999999" in ganger.run("files", "get", "--job", "999999", status=4).stderr
    assert "there is no job 999999" in ganger.run("files", "list", "--job", "999999", status=4).stderr


def test_a_command_gets_the_path_of_each_file(ganger: Shell, folder: Path) -> None:
    words = ("submit", *SMALL, "--each", f"{folder}/data/table-0[12].csv", "--follow", "--", "echo", "{}")
    said = sorted(line.split(" | ")[1] for line in ganger(*words).splitlines())
    assert said == [f"{folder}/data/table-01.csv", f"{folder}/data/table-02.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["count-lines", "--each", "/nowhere/*.csv", "-i", "program=1"], "there is no file /nowhere/*.csv"),
        (["count-lines", "--each", "*"], "for which input?"),
        (["--each", "*", "--", "true"], "say with {} where"),
        (["--each", "*", "--count", "2", "--", "true"], "it goes with neither --count nor -"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(ganger: Shell, folder: Path, words: list[str], said: str) -> None:
    assert said in ganger.run("submit", *words, status=2).stderr


def test_a_node_that_drains_can_be_taken_back_until_it_has_left(ganger: Shell, installation: Installation) -> None:
    job = submit(ganger, "--", "sleep", "300")
    installation.wait(job, "RUNNING")
    name = ganger.lines("nodes")[0]["name"]
    assert "no other node is ready" in ganger.run("drain", name).stderr
    installation.until(lambda: ganger.lines("nodes")[0]["state"] == "DRAINING", "the node to drain")
    ganger("resume", name)
    ganger("cancel", "--wait", str(job))
    assert ganger("submit", *SMALL, "--follow", "--", "echo", "still here") == "still here\n"
    assert [one["state"] for one in ganger.lines("nodes")] == ["READY"]
