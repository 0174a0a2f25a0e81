"""Whatever a job leaves is taken out of the way at once and removed in the end, or said to be kept; nothing else is touched."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import state_folder
from tests.support.waiting import eventually
from workers import removal
from workers.removal import FileRemover

DEEP = 3000
NAMES = (b"\xff\xfe", b"new\nline", b"-rf", b" ", b"*", "\u202e".encode(), b"n" * 255)
AS_NOBODY = 65534


def deep(folder: Path) -> None:
    """Nest folders far beyond the longest path that the kernel takes."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEEP):
        os.mkdir("d" * 200, dir_fd=here)
        there = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def wide(folder: Path) -> None:
    for number in range(2000):
        (folder / str(number)).mkdir()
        (folder / str(number) / "inside").touch()


def odd_names(folder: Path) -> None:
    for name in NAMES:
        (folder / os.fsdecode(name)).mkdir()
        (folder / os.fsdecode(name) / os.fsdecode(name)).touch()


def odd_kinds(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to(folder)
    (folder / "away").symlink_to("/etc")
    (folder / "nowhere").symlink_to("x" * 4000)


def closed(folder: Path) -> None:
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "a/b/c/file").touch()
    for name in ("a/b/c", "a/b", "a", ""):
        (folder / name).chmod(0)


def immutable(folder: Path) -> None:
    (folder / "fixed").mkdir()
    (folder / "fixed/file").touch()
    try:
        for name in ("fixed/file", "fixed"):
            set_flags(folder / name, 0x10)
    except OSError:
        pytest.skip("no immutable files here")


def set_flags(path: Path, flags: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x40086602, struct.pack("l", flags))
    finally:
        os.close(fd)


@pytest.fixture
def remover(tmp_path: Path) -> Iterator[FileRemover]:
    remover = FileRemover([str(tmp_path)])
    thread = threading.Thread(target=remover.run)
    thread.start()
    yield remover
    remover.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("mischief", [deep, wide, odd_names, odd_kinds, closed, immutable])
def test_whatever_a_job_leaves_is_gone_at_once_and_removed_in_the_end(
    remover: FileRemover, tmp_path: Path, mischief: Callable[[Path], None]
) -> None:
    folder = tmp_path / "1.1"
    (folder / "work").mkdir(parents=True)
    mischief(folder / "work")
    remover.discard(str(folder))
    assert not os.path.lexists(folder)
    eventually(lambda: not list((tmp_path / removal.BIN).iterdir()))
    assert Path("/etc/passwd").exists()
    assert remover.kept == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mischief", ["deep", "closed"])
def test_a_node_that_is_not_root_removes_the_same(mischief: str) -> None:
    """In a process of its own, because a user once given away does not come back."""
    script = (
        "import os, pathlib, sys; from tests.unit import test_removal; from workers import removal\n"
        f"os.setgid({AS_NOBODY}); os.setuid({AS_NOBODY})\n"
        "folder = pathlib.Path(sys.argv[1]) / '1.1'; folder.mkdir()\n"
        f"test_removal.{mischief}(folder)\n"
        "remover = removal.FileRemover([sys.argv[1]]); remover.discard(str(folder))\n"
        "assert not os.path.lexists(folder)\n"
        "(left,) = (pathlib.Path(sys.argv[1]) / removal.BIN).iterdir()\n"
        "assert removal.remove(str(left))\n"
    )
    with state_folder() as place:  # others may enter it, which pytest's own folders they may not
        place.chmod(0o777)
        subprocess.run([sys.executable, "-c", script, str(place)], check=True, cwd=Path(__file__).parents[2])


def test_what_an_earlier_life_left_in_the_bin_is_removed(tmp_path: Path) -> None:
    (tmp_path / removal.BIN / "1.1-x/0/work/deep").mkdir(parents=True)
    remover = FileRemover([str(tmp_path)])
    thread = threading.Thread(target=remover.run)
    thread.start()
    eventually(lambda: not list((tmp_path / removal.BIN).iterdir()))
    remover.stop()
    thread.join(20)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_what_cannot_be_removed_is_counted_and_holds_up_nothing(remover: FileRemover, tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "1.1"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (folder / "work/mounted").mkdir(parents=True)
    (folder / "work/file").touch()
    if subprocess.run(["mount", "--bind", elsewhere, folder / "work/mounted"], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (tmp_path / "2.1/work").mkdir(parents=True)
        remover.discard(str(folder))
        remover.discard(str(tmp_path / "2.1"))
        eventually(lambda: remover.kept == 1 and len(list((tmp_path / removal.BIN).iterdir())) == 1)
        assert (elsewhere / "precious").exists()
        left = [path for path in (tmp_path / removal.BIN).rglob("*") if path.name == "mounted"]
        assert not os.path.lexists(folder)
    finally:
        mounted = left[0] if left else folder / "work/mounted"
        subprocess.run(["umount", "-l", mounted], check=True)


def test_removing_never_follows_a_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "1.1/work").mkdir(parents=True)
    (tmp_path / "1.1/work/link").symlink_to(kept)
    (tmp_path / "2.1").symlink_to(kept)
    assert removal.remove(str(tmp_path / "1.1"))
    assert removal.remove(str(tmp_path / "2.1"))
    assert (kept / "file").exists()
