"""The command line where nothing is as it should be: each command ends with one line and the documented exit status.

Words and names that are no text, streams that are closed or full, numbers that are none, tokens and addresses likewise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.forked_commands import CLOSED, FULL, GONE, Ended, ForkedCommands

NOWHERE = "http://127.0.0.1:1"
NO_TEXT = "caf\udce9"  # the byte E9, as Python has it from the operating system
HIDDEN = "s3kret"


@pytest.fixture(scope="module")
def ganger() -> Iterator[ForkedCommands]:
    with ForkedCommands() as commands:
        yield commands


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GANGER_API_URL": NOWHERE, "GANGER_TOKEN": "t"}


def is_one_line(ended: Ended, *statuses: int) -> None:
    """Assert that a command said one sentence, and nothing that looks like a fault of ours."""
    assert ended.status in statuses, ended
    assert "Traceback" not in ended.err
    assert "a fault of Ganger's" not in ended.err
    assert ended.err.startswith("ganger: ")
    assert ended.err.count("\n") == 1, ended.err


COMMANDS = [
    ["submit", "--name", NO_TEXT, "--", "true"],
    ["submit", "--", "echo", NO_TEXT],
    ["submit", "--env", f"A={NO_TEXT}", "--", "true"],
    ["submit", "--label", f"{NO_TEXT}=1", "--", "true"],
    ["submit", NO_TEXT],
    ["jobs", "--label", f"a={NO_TEXT}"],
    ["jobs", f"--{NO_TEXT}"],
    ["show", NO_TEXT],
    ["logs", NO_TEXT],
    ["why", NO_TEXT],
    ["cancel", NO_TEXT],
    ["requeue", "--label", f"a={NO_TEXT}", "--yes"],
    ["hold", "--all", "--reason", NO_TEXT],
    ["release", NO_TEXT],
    ["pools", NO_TEXT],
    ["scale", NO_TEXT, "3"],
    ["drain", "n", "--within", NO_TEXT],
    ["pause", "--pool", NO_TEXT],
    ["resume", "--pool", NO_TEXT],
    ["types", "show", NO_TEXT],
    ["types", "add", f"/{NO_TEXT}"],
    ["files", "put", f"/{NO_TEXT}"],
    ["files", "list", "--job", NO_TEXT],
    ["nodes", f"--{NO_TEXT}"],
    ["tokens", "create", NO_TEXT, "--role", "viewer"],
    ["projects", "create", NO_TEXT],
    ["errors", "add", NO_TEXT],
    ["status", f"--{NO_TEXT}"],
    ["simulate", f"/{NO_TEXT}"],
    ["worker", "--cpus", NO_TEXT],
    ["setup", "--wait", NO_TEXT],
    ["check", "--hours", NO_TEXT],
    ["up", "--port", NO_TEXT],
    ["demo", f"--{NO_TEXT}"],
    [NO_TEXT],
]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_words_that_are_no_text_are_refused_in_one_line(
    ganger: ForkedCommands, environment: Mapping[str, str], encoding: str
) -> None:
    for words in COMMANDS:
        is_one_line(ganger(*words, environment=environment, encoding=encoding), 2, 3)


def test_a_text_that_cannot_be_sent_is_named_by_its_option(
    ganger: ForkedCommands, environment: Mapping[str, str]
) -> None:
    said = ganger("submit", "--name", NO_TEXT, "--", "true", environment=environment).err
    assert said == "ganger: --name: it is not UTF-8 text, and nothing else can be sent\n"
    assert "command[1]: it is not UTF-8" in ganger("submit", "--", "echo", NO_TEXT, environment=environment).err


def test_a_name_is_printed_with_its_own_bytes(ganger: ForkedCommands, environment: Mapping[str, str]) -> None:
    assert f"(/{NO_TEXT})" in ganger("types", "add", f"/{NO_TEXT}", environment=environment).err


@pytest.mark.parametrize(
    "words", [["version"], ["version", "--json"], ["--help"], ["submit", "--help"], ["types", "-h"]]
)
def test_an_answer_that_cannot_be_written_is_status_2(
    ganger: ForkedCommands, environment: Mapping[str, str], words: list[str]
) -> None:
    for stdout, why in ((FULL, "No space left on device"), (CLOSED, "it is closed")):
        ended = ganger(*words, environment=environment, stdout=stdout)
        is_one_line(ended, 2)
        assert why in ended.err


def test_a_reader_that_has_enough_ends_a_command_well(ganger: ForkedCommands, environment: Mapping[str, str]) -> None:
    ended = ganger("submit", "--help", environment=environment, stdout=GONE)
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize("stderr", [CLOSED, FULL, GONE])
def test_a_note_that_nobody_gets_changes_no_exit_status(
    ganger: ForkedCommands, environment: Mapping[str, str], stderr: str
) -> None:
    assert ganger("jobs", "--naem", environment=environment, stderr=stderr).status == 2
    assert ganger("version", environment=environment, stderr=stderr).status == 0


AMOUNTS = {
    "submit": ("--cpus", "--mem", "--disk", "--timeout", "--pre-timeout", "--grace", "--on-oom"),
    "worker": ("--cpus", "--mem", "--disk"),
    "up": ("--cpus", "--mem", "--disk"),
    "setup": ("--wait",),
    "check": ("--hours",),
}
COUNTS = {"submit": ("--max-tries", "--count", "--priority"), "up": ("--port", "--nodes"), "jobs": ("--limit",)}
NO_NUMBERS = ["inf", "-inf", "nan", "1e400", "½", "", "0x10", "1e999G"]


@pytest.mark.parametrize(("options", "text"), [
    *((AMOUNTS, text) for text in (*NO_NUMBERS, "1_000", "9" * 400)), *((COUNTS, text) for text in NO_NUMBERS),
])  # fmt: skip
def test_numbers_that_are_none_are_refused_by_every_option(
    ganger: ForkedCommands, environment: Mapping[str, str], options: Mapping[str, tuple[str, ...]], text: str
) -> None:
    for command, names in options.items():
        for option in names:
            more = ["--", "true"] if command == "submit" else []
            ended = ganger(command, option, text, *more, environment=environment)
            is_one_line(ended, 2)
            assert option in ended.err


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_numbers_inside_of_words_are_checked_likewise(
    ganger: ForkedCommands, environment: Mapping[str, str], text: str
) -> None:
    for words in (["projects", "change", "p", "--weight", text], ["projects", "change", "p", "--quota", f"cpus={text}"],
                  ["drain", "n", "--within", text], ["submit", "--resource", f"gpu={text}", "--", "true"],
                  ["scale", "p", text]):  # fmt: skip
        is_one_line(ganger(*words, environment=environment), 2)


@pytest.mark.parametrize("break_", ["\n", "\r\n", " ", "\x01", "é", "\udcff", "\t"])
def test_no_message_has_a_token_in_it(
    ganger: ForkedCommands, environment: dict[str, str], tmp_path: Path, break_: str
) -> None:
    token = f"{HIDDEN}{break_}{HIDDEN}"
    (tmp_path / "token").write_bytes(token.encode(errors="surrogateescape"))
    without = {name: value for name, value in environment.items() if name != "GANGER_TOKEN"}
    for ended in (
        ganger("jobs", environment={**without, "GANGER_TOKEN": token}),
        ganger("jobs", "--token", token, environment=without),
        ganger("jobs", environment={**without, "GANGER_TOKEN_FILE": str(tmp_path / "token")}),
        ganger("demo", "--url", NOWHERE, "--token", token, environment=without),
    ):
        is_one_line(ended, 2)
        assert HIDDEN not in ended.err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("GANGER_API_URL", value) for value in (
            "http://[", "http://", "ftp://h", "http://a b", "::", "http://h:99999", "http://h:x", NO_TEXT, "http://.",
            f"http://{'a' * 70}", f"ftp://u:{HIDDEN}@h", "http://h\n", "http://\x1b[31m",
        )),
        *(("HTTP_PROXY", value) for value in (
            "foo bar", "http://[", f"ftp://u:{HIDDEN}@x", ":::", f"http://u:{HIDDEN}@x:99999", "socks5://h:1",
        )),
        ("ALL_PROXY", "nonsense://x"),
        ("SSL_CERT_FILE", "/nowhere"),
        ("GANGER_TOKEN_FILE", "/nowhere"),
        ("GANGER_TOKEN_FILE", "~nobody-of-this-name/token"),
    ],
)  # fmt: skip
def test_addresses_that_can_be_none_are_a_matter_of_setup(
    ganger: ForkedCommands, environment: dict[str, str], variable: str, value: str
) -> None:
    environment.pop("GANGER_TOKEN")
    ended = ganger("jobs", environment={**environment, variable: value})
    is_one_line(ended, 2)
    assert HIDDEN not in ended.err


def test_a_proxy_that_does_not_answer_is_named(ganger: ForkedCommands, environment: dict[str, str]) -> None:
    environment |= {"GANGER_API_URL": "http://ganger.invalid:1", "HTTP_PROXY": f"http://u:{HIDDEN}@127.0.0.1:1"}
    ended = ganger("jobs", environment=environment)
    is_one_line(ended, 3)
    assert "through the proxy of HTTP_PROXY" in ended.err
    assert HIDDEN not in ended.err


@pytest.mark.parametrize("text", [b"\xff\xfe", b"url = ", b"[profiles.default]\nurl = 3", b"profile = 'x'"])
def test_a_configuration_that_cannot_be_read_is_a_matter_of_setup(
    ganger: ForkedCommands, tmp_path: Path, text: bytes
) -> None:
    (tmp_path / "ganger").mkdir()
    (tmp_path / "ganger" / "config.toml").write_bytes(text)
    ended = ganger("jobs", environment={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    is_one_line(ended, 2)
    assert "config.toml" in ended.err


@pytest.mark.parametrize(
    "url",
    ["nonsense", "postgresql://[", f"postgresql://u:{HIDDEN}@h:abc/d", f"mysql://u:{HIDDEN}@h/d", NO_TEXT,
     f"postgresql://u:{HIDDEN}@127.0.0.1:1/d", f"postgresql://u:{HIDDEN}@127.0.0.1:1/d?x=y"],
)  # fmt: skip
def test_a_database_that_is_none_is_a_matter_of_setup(ganger: ForkedCommands, tmp_path: Path, url: str) -> None:
    environment = {"HOME": str(tmp_path), "GANGER_DATABASE_URL": url, "GANGER_STATE_DIR": str(tmp_path)}
    for words in (["check"], ["setup", "--wait", "0"]):
        ended = ganger(*words, environment=environment)
        is_one_line(ended, 2)
        assert HIDDEN not in ended.err


@pytest.mark.parametrize("url", ["nonsense", "redis://[", f"redis://u:{HIDDEN}@h:abc", f"http://u:{HIDDEN}@h"])
def test_a_broker_that_is_none_is_a_matter_of_setup(ganger: ForkedCommands, tmp_path: Path, url: str) -> None:
    environment = {"HOME": str(tmp_path), "GANGER_DATABASE_URL": "postgresql://h/d", "GANGER_BROKER_URL": url}
    ended = ganger("scheduler", environment=environment)
    is_one_line(ended, 2)
    assert "GANGER_BROKER_URL" in ended.err
    assert HIDDEN not in ended.err


@pytest.mark.parametrize("text", ["", "{", "[1]", NO_TEXT, "[" * 100_000, None])
def test_what_is_read_from_standard_input_may_be_anything(
    ganger: ForkedCommands, environment: Mapping[str, str], text: str | None
) -> None:
    is_one_line(ganger("types", "add", "-", environment=environment, stdin=text), 2)


def test_json_stays_json_where_the_output_lacks_its_characters(ganger: ForkedCommands, tmp_path: Path) -> None:
    ended = ganger("version", "--json", environment={"HOME": str(tmp_path)}, encoding="ascii")
    assert json.loads(ended.out)["version"]
