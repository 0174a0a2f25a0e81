"""How much disk a directory holds: all of it, however deep it lies, each file once, nothing of others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from workers.supervisor import disk_usage

MIB = 1 << 20


def write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"x" * size)
        file.flush()
        os.fsync(file.fileno())


def test_files_are_counted_once_and_empty_parts_not_at_all(tmp_path: Path) -> None:
    for part in ("in", "out", "work"):
        (tmp_path / part).mkdir()
    assert disk_usage.measure(str(tmp_path)) == 0
    write(tmp_path / "work/a", MIB)
    os.link(tmp_path / "work/a", tmp_path / "out/b")
    (tmp_path / "work/away").symlink_to("/usr")
    assert MIB <= disk_usage.measure(str(tmp_path)) < 2 * MIB


def test_nothing_lies_too_deep_to_be_counted_and_depth_by_itself_is_no_lack_of_room(tmp_path: Path) -> None:
    """Names of 200 letters, 600 levels: no path leads there."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    (tmp_path / "work").mkdir()
    here = os.open(tmp_path / "work", os.O_RDONLY)
    for level in range(600):
        os.mkdir("d" * 200, dir_fd=here)
        there = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        if level % 100 == 0:
            os.mkdir("beside", dir_fd=here)
        os.close(here)
        here = there
    file = os.open("large", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(file, b"x" * MIB)
    os.fsync(file)
    os.close(file)
    os.close(here)
    assert MIB <= disk_usage.measure(str(tmp_path), 64 * MIB) < 8 * MIB
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_counting_ends_when_it_is_enough(tmp_path: Path) -> None:
    (tmp_path / "work/a").mkdir(parents=True)
    for number in range(10):
        write(tmp_path / f"work/a/{number}", MIB)
    assert disk_usage.measure(str(tmp_path), MIB) > MIB


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_another_file_system_is_not_the_job_s(tmp_path: Path) -> None:
    (tmp_path / "work/m").mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "work/m"], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        write(tmp_path / "work/m/x", MIB)
        assert disk_usage.measure(str(tmp_path)) < MIB
    finally:
        subprocess.run(["umount", tmp_path / "work/m"], check=True)
