"""A program that takes more disk than it asked for, or finds none left, ends with a name for that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import supervised
from tests.support.supervised import Stage
from workers.supervisor import disk_usage

MIB = 1 << 20


@pytest.fixture
def stage() -> Iterator[Stage]:
    with supervised.stage() as found:
        yield found


def test_too_much_disk_ends_the_tree_without_grace(stage: Stage) -> None:
    play = stage.play()
    folder = play.folder / "own"
    folder.mkdir()
    code = f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for number in range(40): open(f"{folder}/{{number}}", "wb").write(b"x" * 100_000)
ready(); rest()
"""
    ended = stage.do(play.run(code, folder=str(folder), limits={"disk": 2000}, grace_s=30))
    assert ended["reason"] == "disk_full", ended
    assert ended["message"].endswith("had asked for 2 MiB.")
    assert ended["usage"]["peak_disk_mib"] > 2
    assert play.is_dead


def test_who_keeps_within_the_disk_is_left_alone_and_accounted_for(stage: Stage) -> None:
    play = stage.play()
    folder = play.folder / "own"
    folder.mkdir()
    code = f"""
with open("{folder}/a", "wb") as file: file.write(b"x" * {MIB})
ready(); signal.sigtimedwait({{signal.SIGTERM}}, 1.5)
"""
    ended = stage.do(play.run(code, folder=str(folder), limits={"disk": 1100}))
    assert (ended["reason"], ended["exit_code"]) == ("exit", 0)
    assert ended["usage"]["peak_disk_mib"] == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_disk_without_room_names_the_failure(stage: Stage) -> None:
    play = stage.play()
    folder = play.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    try:
        failed = stage.do(play.command(["/bin/sh", "-c", f"cat /dev/zero > {folder}/a"], folder=str(folder)))
        well = stage.play()
        done = stage.do(well.command(["/bin/true"], folder=str(folder)))
    finally:
        subprocess.run(["umount", folder], check=True)
    assert (failed["reason"], failed["exit_code"]) == ("disk_full", 1)
    assert (done["reason"], done["exit_code"]) == ("exit", 0)


def test_a_file_counts_once_whatever_its_names_and_links_lead_nowhere(tmp_path: Path) -> None:
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    for folder in (own / "work/deep", elsewhere):
        folder.mkdir(parents=True)
    (elsewhere / "big").write_bytes(b"x" * MIB)
    assert disk_usage.measure(str(own)) <= 8192  # the folder that the program made
    (own / "work/a").write_bytes(b"x" * 65536)
    before = disk_usage.measure(str(own))
    (own / "work/deep/b").hardlink_to(own / "work/a")
    (own / "work/c").symlink_to(elsewhere)
    (own / "work/d").symlink_to(elsewhere / "big")
    assert disk_usage.measure(str(own)) <= before + 8192
    (own / "work/sparse").touch()
    os.truncate(own / "work/sparse", 1 << 40)
    assert disk_usage.measure(str(own)) <= before + 8192


def test_measuring_stops_when_it_is_enough_and_takes_a_vanished_folder_for_nothing(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "x").write_bytes(b"x" * 8192)
    assert 65536 < disk_usage.measure(str(tmp_path), 65536) < 50 * 8192
    assert disk_usage.measure(str(tmp_path / "gone")) == 0
