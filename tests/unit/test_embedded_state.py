"""The state folder: made once, private, held by one, and refused in one line where it cannot be used."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.up.embedded import account, state
from scheduler.errors import SetupError
from tests.support.servers import state_folder


@pytest.fixture
def root() -> Iterator[Path]:
    with state_folder() as path:
        yield path


def test_passwords_and_logs_are_for_the_owner_alone(root: Path) -> None:
    folder = state.prepare(root / "new")
    folder.secret("password")
    private = [folder.secrets, folder.tokens, folder.logs, folder.pids, folder.socket_folder()]
    assert [oct(stat.S_IMODE(path.stat().st_mode)) for path in private] == ["0o700"] * 5
    assert stat.S_IMODE((folder.secrets / "password").stat().st_mode) == 0o600


def test_a_secret_is_long_and_stays_the_same(root: Path) -> None:
    first = state.prepare(root).secret("password")
    assert len(first) >= 43
    assert state.prepare(root).secret("password") == first
    assert state.prepare(root).secret("another") != first


def test_an_existing_folder_keeps_its_permissions_even_if_they_shut_the_servers_out(root: Path) -> None:
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    folder = state.prepare(closed)
    try:
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert folder.account is None or account.can_enter(folder.account, folder.servers)
        assert state.prepare(closed).servers == folder.servers
    finally:
        if folder.account is not None:
            shutil.rmtree(folder.servers)


def test_a_second_holder_is_named_the_first(root: Path) -> None:
    folder = state.prepare(root)
    with (
        state.locked(folder),
        pytest.raises(SetupError, match=f"process {os.getpid()}.*--state-dir"),
        state.locked(folder),
    ):
        pass
    with state.locked(folder):
        pass


def test_a_path_too_long_for_a_socket_gets_a_short_folder(root: Path) -> None:
    deep = root / ("d" * 60) / ("e" * 60)
    folder = state.prepare(deep)
    sockets = folder.socket_folder()
    try:
        assert len(os.fsencode(sockets / state.LONGEST_SOCKET_NAME)) <= state.SOCKET_PATH_MAX
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert folder.socket_folder() == sockets
    finally:
        sockets.rmdir()


def test_a_short_folder_that_somebody_else_made_first_is_refused(root: Path) -> None:
    folder = state.prepare(root / ("d" * 60) / ("e" * 60))
    sockets = folder.socket_folder()
    try:
        sockets.chmod(0o777)
        with pytest.raises(SetupError, match="only user id"):
            folder.socket_folder()
    finally:
        sockets.rmdir()


def test_a_file_in_the_way_is_one_clear_line(root: Path) -> None:
    (root / "file").write_text("")
    with pytest.raises(SetupError, match="is not a folder; choose another folder with --state-dir"):
        state.prepare(root / "file" / "state")


def test_a_folder_that_cannot_be_written_is_one_clear_line() -> None:
    with pytest.raises(SetupError, match="^the state folder /proc/ganger .*--state-dir$"):
        state.prepare(Path("/proc/ganger"))


def test_a_lost_server_folder_is_not_silently_replaced_by_an_empty_one(root: Path) -> None:
    (root / "servers").symlink_to(root / "gone")
    with pytest.raises(SetupError, match="which is gone"):
        state.prepare(root)


@pytest.fixture
def small_disk(root: Path) -> Iterator[Path]:
    """A file system of 1 MiB; only root may make one, and not in every container."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0711", "none", root], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a file system")
    yield root
    subprocess.run(["umount", root], check=True)


def test_a_full_disk_is_one_clear_line(small_disk: Path) -> None:
    with pytest.raises(SetupError, match="is full.*--state-dir"):
        state.prepare(small_disk)


def test_a_read_only_file_system_is_one_clear_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(SetupError, match="read-only file system; choose another folder with --state-dir"):
        state.prepare(small_disk / "state")


def test_the_default_folder_follows_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert state.default_root() == Path("/data/ganger")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/somewhere")
    assert state.default_root() == Path("/somewhere/.local/share/ganger")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state.default_root() == Path("/var/lib/ganger")
