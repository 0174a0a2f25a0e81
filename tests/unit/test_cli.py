"""The command line where no API is needed: words, exit statuses, where the API is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganger import InvalidRequest, JobRequest, cli
from ganger.cli import command, program, screen
from ganger.cli.connection import Connection
from ganger.cli.options import pairs
from ganger.cli.submit import constraints, option_errors, program_options
from ganger.errors import UsageError


@pytest.fixture
def ganger(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Runs a command in this process; returns its exit status, what it printed and what it noted."""
    for name in ("GANGER_API_URL", "GANGER_URL", "GANGER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GANGER_STATE_DIR", str(tmp_path))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ganger", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def test_version_is_one_line(ganger: Any) -> None:
    code, out, err = ganger("version")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1


def test_version_as_json(ganger: Any) -> None:
    assert ganger("version", "--json")[1].startswith('{"version": ')


@pytest.mark.parametrize(
    "command",
    [
        "submit",
        "jobs",
        "show",
        "logs",
        "cancel",
        "requeue",
        "why",
        "simulate",
        "up",
        "api",
        "scheduler",
        "worker",
        "demo",
        "status",
    ],
)
def test_every_command_explains_itself(ganger: Any, command: str) -> None:
    code, out, _ = ganger(command, "--help")
    assert code == 0
    assert f"ganger {command}" in out


@pytest.mark.parametrize("noun", ["nodes", "types", "files"])
def test_every_noun_lists_its_commands(ganger: Any, noun: str) -> None:
    assert "list" in ganger(noun, "--help")[1]


def test_without_an_api_one_line_says_what_to_do(ganger: Any) -> None:
    code, out, err = ganger("jobs")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "--url or GANGER_API_URL" in err


def test_an_api_that_does_not_answer_is_status_3(ganger: Any) -> None:
    code, _, err = ganger("jobs", "--url", "http://127.0.0.1:1")
    assert code == 3
    assert err == (
        "ganger: the API at http://127.0.0.1:1 cannot be reached (connection refused); is it running? "
        "`ganger up` starts one here\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit"], "nothing to submit"),
        (["submit", "echo", "hello"], "a command stands behind --: ganger submit -- echo hello"),
        (["submit", "--"], "there is no command behind --"),
        (["submit", "kml-footprint", "--", "true"], "not both"),
        (["submit", "--env", "NAME", "--", "true"], "--env takes NAME=VALUE"),
        (["submit", "--resource", "gpu=some", "--", "true"], "--resource takes NAME=AMOUNT"),
        (["submit", "--not-before", "tomorrow", "--", "true"], "--not-before: 'tomorrow' is not a time"),
        (["submit", "--constraint", "=a", "--", "true"], "--constraint: '=a' is not"),
        (["submit", "--constraint", "gpus>x", "--", "true"], "--constraint: 'gpus>x': > takes a number, not 'x'"),
        (["submit", "--prefer", "gpus<=*5", "--", "true"], "--prefer: 'gpus<=': <= takes a number, not ''"),
        (
            ["submit", "--prefer", "zone=a*x", "--", "true"],
            "behind * stands a weight such as 5, not 'x'; with a * in the value write zone=a*x*1",
        ),
        (["submit", "--prefer", "zone=a*1001", "--", "true"], "a weight is from -1000 to 1000"),
        (["submit", "--resource", "cpus=2", "--", "true"], "cpus is not a custom resource; use --cpus"),
        (["worker", "--resource", "mem=2"], "mem is not a custom resource; use --mem"),
        (["types", "add", "/nowhere.json"], "No such file or directory (/nowhere.json)"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(ganger: Any, words: list[str], said: str) -> None:
    code, out, err = ganger(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("ganger: ")
    assert err.count("\n") == 1


def test_an_unknown_command_or_option_is_status_2(ganger: Any) -> None:
    assert ganger("nonsense")[0] == 2
    assert ganger("jobs", "--nonsense")[0] == 2


def test_another_package_of_our_name_is_noticed_before_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "__init__.py").write_text("print('imported')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "ganger", "scheduler"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "which is not Ganger's" in ended.stderr


def running(folder: Path) -> Path:
    """A state folder as a running `ganger up` leaves it."""
    (folder / "tokens").mkdir()
    (folder / "tokens" / "admin").write_text("gu_secret\n")
    (folder / "url").write_text("http://127.0.0.1:8470\n")
    return folder


def test_the_api_of_a_running_ganger_is_found(tmp_path: Path) -> None:
    found = Connection(None, None, running(tmp_path)).resolve()
    assert (found.url, found.token) == ("http://127.0.0.1:8470", "gu_secret")


def test_a_token_is_not_sent_to_another_address_than_its_own(tmp_path: Path) -> None:
    folder = running(tmp_path)
    assert Connection("http://elsewhere:8470", None, folder).resolve().token is None
    assert Connection("http://127.0.0.1:8470/", None, folder).resolve().token == "gu_secret"
    assert Connection("127.0.0.1:8470", None, folder).resolve().token == "gu_secret"


def test_what_the_user_says_goes_first(tmp_path: Path) -> None:
    found = Connection("http://elsewhere:1", "mine", running(tmp_path)).resolve()
    assert (found.url, found.token) == ("http://elsewhere:1", "mine")


def test_nothing_running_is_a_matter_of_setup(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Start it, or say where the API is"):
        Connection(None, None, tmp_path).resolve()


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("zone=a", {"label": "zone", "op": "=", "value": "a"}),
        ("zone=a,b", {"label": "zone", "op": "in", "value": ["a", "b"]}),
        ("zone!=a", {"label": "zone", "op": "!=", "value": "a"}),
        ("zone!=a,b", {"label": "zone", "op": "not_in", "value": ["a", "b"]}),
        ("gpus>2", {"label": "gpus", "op": ">", "value": "2"}),
        ("gpus>=2", {"label": "gpus", "op": ">=", "value": "2"}),
        ("gpus", {"label": "gpus", "op": "exists"}),
        ("!spot", {"label": "spot", "op": "not_exists"}),
        ("example.org/zone=a=b", {"label": "example.org/zone", "op": "=", "value": "a=b"}),
    ],
)
def test_constraints_are_read_as_people_write_them(text: str, document: dict[str, Any]) -> None:
    assert constraints.constraint(text) == document


def test_pairs_keep_what_stands_behind_the_first_equals_sign() -> None:
    assert pairs(["A=1", "B=x=y", "C="], "--env") == {"A": "1", "B": "x=y", "C": ""}
    with pytest.raises(UsageError):
        pairs(["=1"], "--env")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "0.00 s"),
        (1.234, "1.23 s"),
        (42.4, "42 s"),
        (119, "119 s"),
        (125, "2 min 5 s"),
        (7260, "2 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_lengths_of_time(seconds: float | None, text: str) -> None:
    assert screen.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, ""), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**40, "1.0 TiB")]
)
def test_sizes(count: int | None, text: str) -> None:
    assert screen.size(count) == text


def test_a_pipe_gets_tab_separated_lines_and_never_a_line_break_inside(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("A", "B"), [(1, "two\nlines"), (None, "[bold]")], empty="nothing")
    assert capsys.readouterr().out == "1\ttwo lines\n\t[bold]\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"python": True}, {"runner": "python"}),
        ({"require": ["numpy>=2"]}, {"runner": "python", "options": {"requirements": ["numpy>=2"]}}),
        ({"interpreter": "python3.12"}, {"runner": "python", "options": {"interpreter": "python3.12"}}),
        ({"image": "a/b:1"}, {"image": "a/b:1"}),
        ({"image": "a/b:1", "network": "none"}, {"image": "a/b:1", "options": {"network": "none"}}),
        ({}, {}),
    ],
)
def test_what_runs_a_command_is_said_in_few_words(words: dict[str, Any], said: dict[str, Any]) -> None:
    assert program_options.RunnerOptions(**words).apply(JobRequest()).document() == said


@pytest.mark.parametrize("words", [{"python": True, "image": "a"}, {"network": "none"}])
def test_two_things_cannot_run_one_command(words: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        program_options.RunnerOptions(**words).apply(JobRequest())


def test_a_lack_of_memory_and_preferences_are_written_short() -> None:
    assert program_options.on_oom("2") == {"mem_factor": 2.0}
    assert program_options.on_oom("1.5:4096") == {"mem_factor": 1.5, "mem_max": 4096.0}
    assert constraints.preference("!spot*-2") == {"label": "spot", "op": "not_exists", "weight": -2.0}
    assert constraints.preference("zone=a") == {"label": "zone", "op": "=", "value": "a"}
    assert constraints.preference("zone=a*x*1") == {"label": "zone", "op": "=", "value": "a*x", "weight": 1.0}
    with pytest.raises(UsageError, match="FACTOR"):
        program_options.on_oom("much")


@pytest.mark.parametrize(
    ("said", "field", "of_option"),
    [
        ("[0].constraints[0].label: it is too long", "[0].constraints[0].label", "--constraint: it is too long"),
        ("cpus_required: it can have at most three decimals", "cpus_required", "--cpus: it can have at most three decimals"),
        ("entry 3: it is more than ten years away", "[3].not_before", "--not-before: it is more than ten years away"),
    ],
)  # fmt: skip
def test_what_the_api_finds_wrong_with_a_field_is_said_of_the_option(said: str, field: str, of_option: str) -> None:
    with pytest.raises(UsageError) as wrong, option_errors.of_options():
        raise InvalidRequest(said, status=400, field=field)
    assert str(wrong.value) == of_option


@pytest.mark.parametrize(("status", "field"), [(400, "project"), (400, "[1]"), (409, "idempotency_key"), (413, None)])
def test_what_the_api_refuses_otherwise_stays_a_refusal(status: int, field: str | None) -> None:
    with pytest.raises(InvalidRequest), option_errors.of_options():
        raise InvalidRequest("no", status=status, field=field)


def test_every_command_has_an_example_that_fits_on_a_line() -> None:
    wrong = []
    for name, text in sorted(_helps()):
        examples = re.findall(r"\[bold\](.*?)\[/\]", text, re.DOTALL)
        wrong += [name] if not examples else [one for one in examples if len(one) > 76 or "\n" in one]
    assert wrong == []


def _helps() -> list[tuple[str, str]]:
    """Return the name and the help of every command, those of groups too."""
    found = []
    for each in command.every():
        command.add(program.root(), each)
        made = program.root().commands[each.name]
        inner = getattr(made, "commands", {"": made})
        found += [(f"{each.name} {name}".strip(), one.help or "") for name, one in inner.items()]
    return found
