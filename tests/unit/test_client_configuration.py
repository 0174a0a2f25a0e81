"""Where `Client()` finds its API and its token, and what it says when it finds none."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganger import Client, NotConfigured, configuration
from ganger.errors import NotFound

SECRET = "gu_secret_of_a_file"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An account with empty folders for configuration and data."""
    for name in ("URL", "API_URL", "TOKEN", "TOKEN_FILE", "PROFILE", "STATE_DIR"):
        monkeypatch.delenv(f"GANGER_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(configuration, "default_state_dir", lambda: tmp_path / "state")
    return tmp_path


def config(home: Path, text: str) -> None:
    folder = home / "config" / "ganger"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)


def running(folder: Path, url: str = "http://127.0.0.1:8470") -> Path:
    """A state folder as a running `ganger up` leaves it."""
    (folder / "tokens").mkdir(parents=True)
    (folder / "tokens" / "admin").write_text("gu_admin\n")
    (folder / "url").write_text(f"{url}\n")
    return folder


TWO_PROFILES = f"""
profile = "work"
[profiles.work]
url = "https://work.example:8470/"
token = "{SECRET}"
[profiles.lab]
url = "lab.example:8470"
token_file = "lab-token"
"""


def found(**given: Any) -> tuple[str, str | None]:
    told = configuration.resolve(**given)
    return told.url, told.token


def test_arguments_go_before_everything(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(home, TWO_PROFILES)
    monkeypatch.setenv("GANGER_URL", "http://environment:1")
    monkeypatch.setenv("GANGER_TOKEN", "environment")
    assert found(url="http://here:2", token="mine") == ("http://here:2", "mine")
    assert found(url="http://here:2", token="") == ("http://here:2", None)
    assert found(profile="lab", token="")[0] == "http://lab.example:8470"


def test_the_environment_goes_before_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(home, TWO_PROFILES)
    running(home / "state")
    monkeypatch.setenv("GANGER_API_URL", "http://older:1")
    assert found() == ("http://older:1", None)
    monkeypatch.setenv("GANGER_URL", "http://environment:1")
    (home / "token").write_text("of-a-file\n")
    monkeypatch.setenv("GANGER_TOKEN_FILE", str(home / "token"))
    assert found() == ("http://environment:1", "of-a-file")
    monkeypatch.setenv("GANGER_TOKEN", "environment")
    assert found() == ("http://environment:1", "environment")


def test_a_profile_goes_before_the_state_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running(home / "state")
    config(home, TWO_PROFILES)
    assert found() == ("https://work.example:8470", SECRET)
    (home / "config" / "ganger" / "lab-token").write_text("lab\n")
    monkeypatch.setenv("GANGER_PROFILE", "lab")
    assert found() == ("http://lab.example:8470", "lab")


def test_the_state_folder_is_the_last_place_unless_it_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running(home / "state")
    assert found() == ("http://127.0.0.1:8470", "gu_admin")
    config(home, TWO_PROFILES)
    monkeypatch.setenv("GANGER_STATE_DIR", str(running(home / "named", "http://127.0.0.1:1")))
    assert found() == ("http://127.0.0.1:1", "gu_admin")


def test_a_stored_token_is_sent_to_its_own_address_only(home: Path) -> None:
    config(home, TWO_PROFILES)
    running(home / "state")
    assert found(url="https://work.example:8470") == ("https://work.example:8470", SECRET)
    assert found(url="http://127.0.0.1:8470/") == ("http://127.0.0.1:8470", "gu_admin")
    assert found(url="https://elsewhere:8470") == ("https://elsewhere:8470", None)


def test_nothing_at_all_names_every_place_that_was_looked_at(home: Path) -> None:
    with pytest.raises(NotConfigured) as missing:
        Client()
    told = str(missing.value)
    assert "GANGER_URL is not set" in told
    assert f"no profile 'default' in {home}/config/ganger/config.toml" in told
    assert f"`ganger up` is not running on {home}/state" in told


def test_an_installation_that_is_still_starting_is_not_called_stopped(home: Path) -> None:
    lock = home / "state" / "lock"
    lock.parent.mkdir()
    program = [sys.executable, "-c", "print(flush=True); input()", "up"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as beginning:
        assert beginning.stdin is not None
        assert beginning.stdout is not None
        beginning.stdout.readline()
        for holder, said in (
            (beginning.pid, "not ready yet"),
            (os.getpid(), "not running"),
            ("", "not running"),
            ("9" * 30, "not running"),
        ):
            lock.write_text(f"{holder}\n")
            with pytest.raises(NotConfigured, match=f"`ganger up` is {said} on "):
                Client()
        beginning.stdin.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile = [", "is not TOML"),
        ("profile = 7", "`profile` is a name"),
        ('profile = "x"', "there is no profile 'x'"),
        ("[profiles.default]\ntoken = 'gu_secret_of_a_file'", "the profile 'default' has no url"),
        ("[profiles.default]\nurl = 'a'\ntokenfile = 'gu_secret_of_a_file'", "has the unknown key 'tokenfile'"),
        ("[profiles.default]\nurl = 'a'\ntoken_file = 'missing'", "missing, which does not exist or is empty"),
        ("[profiles.default]\nurl = 'a'\ntoken = 7", "must be a table of texts"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault_and_no_token(home: Path, text: str, said: str) -> None:
    config(home, text)
    with pytest.raises(NotConfigured) as wrong:
        configuration.resolve()
    assert said in str(wrong.value)
    assert SECRET not in str(wrong.value)


def test_a_profile_that_is_asked_for_must_exist(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(home, TWO_PROFILES)
    monkeypatch.setenv("GANGER_PROFILE", "wrok")
    with pytest.raises(NotConfigured, match=r"there is no profile 'wrok' in .*\(it has: lab, work\)"):
        Client()


def test_a_configuration_does_not_print_its_token() -> None:
    assert SECRET not in repr(configuration.Configuration("http://here", SECRET))


def test_the_former_package_is_the_same_client_with_a_warning() -> None:
    for name in [name for name in sys.modules if name == "api.client" or name.startswith("api.client.")]:
        del sys.modules[name]
    with pytest.warns(DeprecationWarning, match="from ganger import Client"):
        former = importlib.import_module("api.client")
    assert former.Client is Client
    assert importlib.import_module("api.client.errors").NotFound is NotFound
