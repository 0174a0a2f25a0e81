"""A directory that is used again is as a new one, and nothing outside is ever touched."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from workers import removal
from workers.files import work_dirs
from workers.files.work_dirs import WorkDirs
from workers.removal import FileRemover

PARTS = ["in", "out", "tmp", "work"]


@pytest.fixture
def made(tmp_path: Path) -> WorkDirs:
    return WorkDirs(str(tmp_path), FileRemover([str(tmp_path)]))


def test_an_empty_directory_is_kept_and_comes_back_as_new(made: WorkDirs, tmp_path: Path) -> None:
    folder = str(tmp_path / "1.1")
    made.make(folder, "a")
    (tmp_path / "1.1/out").chmod(0o777)
    made.put_away(folder)
    assert not os.path.lexists(folder)
    assert not bin_of(tmp_path)
    for number in range(20):
        made.make(str(tmp_path / f"2.{number}"), "a")
        assert sorted(path.name for path in (tmp_path / f"2.{number}").iterdir()) == PARTS
        assert {(tmp_path / f"2.{number}" / part).stat().st_mode & 0o777 for part in PARTS} == {0o700}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_a_directory_that_had_another_owner_is_the_node_s_own_again(made: WorkDirs, tmp_path: Path) -> None:
    folder = str(tmp_path / "1.1")
    made.make(folder, "a")
    work_dirs.hand_over(folder, 65534, 65534)
    assert (tmp_path / "1.1/in").stat().st_uid == 65534
    made.put_away(folder)
    assert not bin_of(tmp_path)
    kept = list((tmp_path / ".stock").rglob("*"))
    assert {path.stat().st_uid for path in kept} == {0}


@pytest.mark.parametrize("mischief", ["file", "extra", "link", "missing", "attribute"])
def test_what_is_not_just_empty_is_not_kept(made: WorkDirs, tmp_path: Path, mischief: str) -> None:
    folder = tmp_path / "1.1"
    made.make(str(folder), "a")
    if mischief == "file":
        (folder / "work/x").touch()
    elif mischief == "extra":
        (folder / ".hidden").mkdir()
    elif mischief == "missing":
        (folder / "in").rmdir()
    elif mischief == "link":
        (folder / "in").rmdir()
        (folder / "in").symlink_to("/etc")
    else:
        try:
            os.setxattr(folder / "in", "user.left", b"x")
        except OSError:
            pytest.skip("no attributes on this file system")
    made.put_away(str(folder))
    assert not os.path.lexists(folder)
    (left,) = bin_of(tmp_path)
    assert removal.remove(str(left))
    assert Path("/etc/passwd").exists()


def bin_of(work: Path) -> list[Path]:
    return list((work / removal.BIN).iterdir())


def left_open(folder: Path) -> None:
    (folder / "work").chmod(0)
    folder.chmod(0)


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def partly_removed(folder: Path) -> None:
    (folder / "work").rmdir()
    (folder / "out").rmdir()
    (folder / "out").symlink_to("/etc")


def replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("/etc")


@pytest.mark.parametrize("mischief", [left_open, removed, partly_removed, replaced])
def test_a_directory_that_its_job_has_spoilt_is_usable_again(
    made: WorkDirs, tmp_path: Path, mischief: Callable[[Path], None]
) -> None:
    folder = tmp_path / "1.1"
    made.make(str(folder), "a")
    mischief(folder)
    made.mend(str(folder), None, None)
    assert not folder.is_symlink()
    for part in PARTS:
        state = (folder / part).lstat()
        assert (stat.S_ISDIR(state.st_mode), state.st_mode & 0o700) == (True, 0o700)
    assert not list(Path("/etc").glob("work*"))


def test_a_directory_is_used_again_in_its_own_project_alone(made: WorkDirs, tmp_path: Path) -> None:
    folder = tmp_path / "1.1"
    made.make(str(folder), "a")
    number = folder.stat().st_ino
    made.put_away(str(folder))
    made.make(str(tmp_path / "2.1"), "b")
    made.make(str(tmp_path / "3.1"), "a")
    assert (tmp_path / "2.1").stat().st_ino != number
    assert (tmp_path / "3.1").stat().st_ino == number


def test_the_way_to_a_directory_may_stay_in_its_temporary_folder_and_nothing_else(tmp_path: Path) -> None:
    made = WorkDirs(str(tmp_path), FileRemover([str(tmp_path)]), "way")
    folder = tmp_path / "1.1"
    for kept, entry in ((True, "way"), (False, "elsewhere")):
        made.make(str(folder), "a")
        (folder / "tmp" / entry / "x").mkdir(parents=True, mode=0o755, exist_ok=True)
        made.put_away(str(folder))
        assert bool(bin_of(tmp_path)) is not kept
