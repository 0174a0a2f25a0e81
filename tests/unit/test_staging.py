"""Inputs arrive whole and verified in a directory that is the job's alone, or the reason is named."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.wire import InputFile, InputSpec
from tests.support.fake_node_api import FakeNodeApi
from tests.support.node import a_spec
from workers.api_client import ApiClient
from workers.files import staging
from workers.files.staging import StagingResources, StagingTask
from workers.files.work_dirs import WorkDirs
from workers.paths import Paths
from workers.removal import FileRemover
from workers.runners.folder_cache import FolderCache

CONTENT = os.urandom(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    yield api
    api.close()


@pytest.fixture
def order(api: FakeNodeApi, tmp_path: Path) -> StagingTask:
    remover = FileRemover([str(tmp_path)])
    return StagingTask(
        ApiClient(api.url, "t"),
        Paths(str(tmp_path), "/l"),
        WorkDirs(str(tmp_path), remover),
        StagingResources("n1", FolderCache(str(tmp_path), 0, remover), remover),
        None,
        None,
        threading.Event(),
    )


def file(**changes: Any) -> InputFile:
    given = {
        "file_id": 7,
        "file_name": "data.bin",
        "size": len(CONTENT),
        "sha256": SHA,
        "url": "/node/files/7/content/",
    }
    return InputFile(**{**given, **changes})


def staged(order: StagingTask, *files: InputFile, name: str = "data", kind: Any = "file") -> Any:
    return staging.stage(a_spec(inputs=[InputSpec(name=name, type=kind, files=list(files))]), order)


def test_a_file_is_downloaded_and_verified(api: FakeNodeApi, order: StagingTask, tmp_path: Path) -> None:
    api.files[7] = CONTENT
    assert staged(order, file()) is None
    assert (tmp_path / "1.1/in/data/data.bin").read_bytes() == CONTENT
    assert (tmp_path / "1.1").stat().st_mode & 0o777 == 0o700


def test_a_file_on_a_shared_disk_is_copied_not_linked(order: StagingTask, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert staged(order, file(local_path=str(source))) is None
    copy = tmp_path / "1.1/in/data/data.bin"
    assert copy.read_bytes() == CONTENT
    assert copy.stat().st_ino != source.stat().st_ino


def test_a_local_path_that_does_not_exist_here_is_downloaded(api: FakeNodeApi, order: StagingTask) -> None:
    api.files[7] = CONTENT
    assert staged(order, file(local_path="/nowhere/at/all")) is None


@pytest.mark.parametrize("trap", ["link", "pipe", "folder", "link above"])
def test_what_jobs_put_in_the_place_of_a_local_file_is_not_opened(
    api: FakeNodeApi, order: StagingTask, tmp_path: Path, trap: str
) -> None:
    api.files[7] = CONTENT
    (tmp_path / "secret").write_bytes(CONTENT)
    place = tmp_path / "source"
    if trap == "link":
        place.symlink_to(tmp_path / "secret")
    elif trap == "pipe":
        os.mkfifo(place)
    elif trap == "link above":
        (tmp_path / "above").symlink_to(tmp_path)
        place = tmp_path / "above" / "secret"
    else:
        place.mkdir()
    assert staged(order, file(local_path=str(place))) is None
    assert api.calls["files"] + api.calls["content"] + api.calls["download"] > 0, "it was downloaded"


def test_a_local_file_without_end_is_a_wrong_one_after_its_size(order: StagingTask, tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as made:
        made.truncate(2**40)
    assert staged(order, file(local_path=str(source))).error == "checksum"


def test_several_files_lie_in_one_folder(api: FakeNodeApi, order: StagingTask, tmp_path: Path) -> None:
    api.files[7] = CONTENT
    assert staged(order, file(), file(file_name="ünusual name.bin"), kind="files") is None
    assert sorted(path.name for path in (tmp_path / "1.1/in/data").iterdir()) == ["data.bin", "ünusual name.bin"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sha256": "0" * 64}, "checksum"),
        ({"size": 10}, "checksum"),
        ({"size": len(CONTENT) + 1}, "checksum"),
        ({"url": "/node/files/8/content/"}, "staging"),
        ({"file_name": "../x"}, "staging"),
        ({"file_name": "/etc/x"}, "staging"),
        ({"file_name": ".."}, "staging"),
        ({"file_name": "x" * 300}, "staging"),
        ({"file_name": "a\0b"}, "staging"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(api: FakeNodeApi, order: StagingTask, changes: Any, error: str) -> None:
    api.files[7] = CONTENT
    failure = staged(order, file(**changes))
    assert (failure.error, bool(failure.message)) == (error, True)


@pytest.mark.parametrize("local", [True, False])
def test_a_full_disk_is_an_error_of_its_own(
    api: FakeNodeApi, order: StagingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    api.files[7] = CONTENT

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range" if local else "write", full)
    failure = staged(order, file(local_path=str(source) if local else None))
    monkeypatch.undo()
    assert failure.error == "disk-full"


def test_staging_waits_for_an_api_that_is_away_until_it_is_stopped(api: FakeNodeApi, order: StagingTask) -> None:
    api.files[7] = CONTENT
    api.down = True
    done: list[Any] = []
    worker = threading.Thread(target=lambda: done.append(staged(order, file())))
    worker.start()
    api.wait(lambda: api.calls["download"] >= 1)
    assert not done
    order.stop.set()
    worker.join(10)
    assert done[0].error == "staging"


def test_what_an_earlier_life_left_is_not_there_any_more(order: StagingTask, tmp_path: Path) -> None:
    (tmp_path / "1.1/work").mkdir(parents=True)
    (tmp_path / "1.1/work/old").touch()
    assert staging.stage(a_spec(), order) is None
    assert not (tmp_path / "1.1/work/old").exists()


@pytest.mark.parametrize(("limit", "word"), [("nofile_asked", "open files"), ("pids", "processes")])
def test_a_job_that_asks_for_more_than_the_machine_gives_is_told_so(order: StagingTask, limit: str, word: str) -> None:
    failure = staging.stage(a_spec(limits={limit: 2**40}), order)
    assert failure is not None
    assert (failure.error, failure.of_job) == ("launch", True)
    assert f"asks for {2**40} {word}" in failure.message
