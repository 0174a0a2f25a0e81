"""Output files used again: only what is as a new file, and nobody else's any more."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from workers.output.log_file import ATTRIBUTE
from workers.output.log_file_pool import LogFilePool


@pytest.fixture
def pool(tmp_path: Path) -> LogFilePool:
    found = LogFilePool(str(tmp_path))
    found.place(str(tmp_path / "first"))  # what it begins with, so that the stock is empty now
    (tmp_path / "first").unlink()
    return found


def written(path: Path, content: bytes = b"") -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def comes_back(pool: LogFilePool, path: Path) -> bool:
    """Take a file back; whether the next one laid out is the same."""
    number = path.stat().st_ino
    pool.recycle(str(path))
    assert not path.exists()
    pool.place(str(path))
    return path.exists() and path.stat().st_ino == number


def test_an_empty_file_is_used_again(pool: LogFilePool, tmp_path: Path) -> None:
    assert comes_back(pool, written(tmp_path / "a"))


def test_what_was_written_and_how_far_it_was_shipped_is_gone(pool: LogFilePool, tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"what another job must not see")
    os.setxattr(path, ATTRIBUTE, b"12")
    path.chmod(0o644)
    assert comes_back(pool, path)
    assert (path.read_bytes(), os.listxattr(path), stat.S_IMODE(path.stat().st_mode)) == (b"", [], 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_a_job_becomes_the_nodes_own(pool: LogFilePool, tmp_path: Path) -> None:
    path = written(tmp_path / "a")
    os.chown(path, 4242, 4242)
    assert comes_back(pool, path)
    assert (path.stat().st_uid, path.stat().st_gid) == (0, 0)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
def test_a_file_that_somebody_still_has_open_is_not_used_again(pool: LogFilePool, tmp_path: Path, flags: int) -> None:
    path = written(tmp_path / "a")
    kept = os.open(path, flags)
    try:
        assert not comes_back(pool, path)
    finally:
        os.close(kept)


def test_a_file_with_another_name_is_not_used_again(pool: LogFilePool, tmp_path: Path) -> None:
    path = written(tmp_path / "a")
    (tmp_path / "b").hardlink_to(path)
    assert not comes_back(pool, path)


def test_a_file_with_marks_of_its_own_is_not_used_again(pool: LogFilePool, tmp_path: Path) -> None:
    path = written(tmp_path / "a")
    os.setxattr(path, "user.mine", b"1")
    assert not comes_back(pool, path)


def test_a_large_file_and_what_is_no_file_are_removed(pool: LogFilePool, tmp_path: Path) -> None:
    large, link, fifo = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    written(large).open("wb").truncate(2 << 20)
    link.symlink_to(written(tmp_path / "target"))
    os.mkfifo(fifo)
    assert not any(comes_back(pool, path) for path in (large,))
    for path in (link, fifo):
        pool.recycle(str(path))
        assert not os.path.lexists(path)
    assert (tmp_path / "target").exists()


def test_without_stock_nothing_is_laid_out_and_what_is_missing_may_be_taken_back(
    pool: LogFilePool, tmp_path: Path
) -> None:
    pool.place(str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()
    pool.recycle(str(tmp_path / "a"))


def test_the_stock_of_an_earlier_life_is_cleared(pool: LogFilePool, tmp_path: Path) -> None:
    pool.recycle(str(written(tmp_path / "a")))
    LogFilePool(str(tmp_path))
    assert len(list((tmp_path / ".stock").iterdir())) == 1
