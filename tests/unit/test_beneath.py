"""Files beneath a folder: nothing in the folder leads out of it, blocks, or is opened that is no regular file."""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.errors import Forbidden, NotFound, ServiceUnavailable
from scheduler.files import beneath, local_storage, storage

Open = Callable[[int, str, int, int], int]


@pytest.fixture(params=[beneath.by_kernel, beneath.by_hand])
def opens(request: pytest.FixtureRequest) -> Open:
    way: Open = request.param
    if way is beneath.by_kernel and not beneath._kernel_can():
        pytest.skip("this kernel has no openat2, or forbids it")
    return way


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text("token")
    place = tmp_path / "workspace"
    (place / "a/b").mkdir(parents=True)
    (place / "a/b/file").write_text("content")
    (place / "out").symlink_to(tmp_path / "secrets")
    (place / "up").symlink_to("..")
    (place / "link").symlink_to(tmp_path / "secret")
    (place / "near").symlink_to("a/b/file")
    (place / "near-folder").symlink_to("a")
    (place / "self").symlink_to("/proc/self/cwd")
    (place / "root").symlink_to("/proc/self/root")
    os.mkfifo(place / "pipe")
    (place / "dangling").symlink_to("nothing")
    return place


LED_ASTRAY = ["out/token", "up/secret", "link", "near", "near-folder/b/file", "self/x", "root/etc/passwd", "dangling"]


@pytest.mark.parametrize("path", LED_ASTRAY)
def test_no_link_is_followed_by_either_way(opens: Open, workspace: Path, path: str) -> None:
    handle = os.open(workspace, os.O_PATH)
    for flags in (os.O_RDONLY, os.O_PATH, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_DIRECTORY):
        with pytest.raises(OSError) as refused:
            os.close(opens(handle, path, flags, 0o600 if flags & os.O_CREAT else 0))
        assert refused.value.errno in {errno.ELOOP, errno.ENOTDIR}
    os.close(handle)


@pytest.mark.parametrize("path", ["..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "./a", "", "a\0b", "a/"])
def test_a_path_that_is_not_plain_is_refused_by_either_way(opens: Open, workspace: Path, path: str) -> None:
    handle = os.open(workspace, os.O_PATH)
    with pytest.raises(ValueError):
        opens(handle, path, os.O_RDONLY, 0)
    os.close(handle)


def test_both_ways_open_and_create_what_lies_beneath(opens: Open, workspace: Path) -> None:
    handle = os.open(workspace, os.O_PATH)
    found = opens(handle, "a/b/file", os.O_RDONLY, 0)
    made = opens(handle, "a/b/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    assert os.read(found, 10) == b"content"
    assert stat.S_ISREG(os.fstat(made).st_mode)
    for one in (found, made, handle):
        os.close(one)


@pytest.mark.parametrize("path", [*LED_ASTRAY, "pipe", "a", "socket", "null", "out/pipe"])
def test_only_regular_files_are_read_and_nothing_waits(workspace: Path, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(workspace, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        if os.geteuid() == 0:
            os.mknod(workspace / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        for act in (storage.read, lambda url, path, *_: storage.measured(url, path)):
            with pytest.raises(NotFound):
                act(workspace.as_uri(), path, 0, None)


def test_a_file_that_the_api_may_not_read_is_forbidden_not_unavailable(workspace: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (workspace / "a/b/file").chmod(0)
    with pytest.raises(Forbidden):
        storage.read(workspace.as_uri(), "a/b/file", 0, None)


@pytest.mark.parametrize("trap", ["uploads", "uploads/2026", "uploads/2026/11/30"])
def test_nothing_is_written_or_removed_through_a_link(workspace: Path, tmp_path: Path, trap: str) -> None:
    (workspace / trap).parent.mkdir(parents=True, exist_ok=True)
    target = tmp_path / "elsewhere"
    rest = "uploads/2026/11/30".removeprefix(trap).lstrip("/")
    (target / rest).mkdir(parents=True)
    (workspace / trap).symlink_to(target)
    path = f"uploads/2026/11/30/{'a' * 32}"
    with pytest.raises(ServiceUnavailable):
        storage.write(workspace.as_uri(), path, [b"x"])
    precious = target / rest / ("a" * 32)
    precious.write_text("mine")
    storage.remove(workspace.as_uri(), path)
    assert [one.name for one in target.rglob("*") if one.is_file()] == ["a" * 32]


def test_what_is_written_is_whole_or_not_there(workspace: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    path = f"uploads/2026/11/30/{'b' * 32}"
    with pytest.raises(ServiceUnavailable):
        storage.write(workspace.as_uri(), path, broken())
    assert list((workspace / "uploads/2026/11/30").iterdir()) == []
    written = storage.write(workspace.as_uri(), path, [b"ab", b"c"])
    assert (written.size, b"".join(storage.read(workspace.as_uri(), path, 1, None))) == (3, b"bc")
    storage.remove(workspace.as_uri(), path)
    assert list((workspace / "uploads/2026/11/30").iterdir()) == []


def test_no_link_is_followed_between_a_root_and_a_workspace(workspace: Path, tmp_path: Path) -> None:
    url, roots = (workspace / "out").as_uri(), (workspace,)
    with pytest.raises(NotFound):
        storage.read(url, "token", 0, None, roots)
    assert local_storage.overlap((workspace / "a").as_uri(), (workspace / "a/b").as_uri(), roots)
    assert not local_storage.overlap((workspace / "a").as_uri(), (workspace / "ab").as_uri(), roots)


def test_a_held_folder_is_reached_after_it_has_moved_out_of_sight(workspace: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "w").mkdir(parents=True)
    (root / "w/file").write_text("x")
    beneath.hold(root)
    try:
        root.rename(tmp_path / "hidden")
        assert b"".join(storage.read((root / "w").as_uri(), "file", 0, None, (root,))) == b"x"
    finally:
        os.close(beneath._held.pop(root))
