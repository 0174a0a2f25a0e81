"""Work on files: nobody's holds up everybody else's, and what does not stop is left behind."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.identifiers import FileId
from scheduler.wire import InputFile, InputSpec, TaskSpec
from tests.support.keys import a_key
from tests.support.node import a_spec
from workers.agent.file_pool import FilePool
from workers.agent.file_work import FileWork
from workers.api_client import ApiClient
from workers.commands import StageInputs
from workers.events import Event, InputsStaged
from workers.files.staging import StagingResources
from workers.files.work_dirs import WorkDirs
from workers.paths import Paths
from workers.removal import FileRemover
from workers.runners.folder_cache import FolderCache

WAIT_S = 30


class Work:
    """Work that lasts until the test lets it end, and does not care whether it is to stop."""

    def __init__(self, number: int, project: str = "p", type_name: str = "t") -> None:
        self.key = a_key(number, 1)
        self.spec: TaskSpec = a_spec(self.key).model_copy(update={"project": project, "type_name": type_name})
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self, _: threading.Event) -> Event:
        self.began.set()
        assert self.may_end.wait(WAIT_S)
        return InputsStaged(self.key)


@pytest.fixture
def posted() -> queue.SimpleQueue[Any]:
    return queue.SimpleQueue()


@pytest.fixture
def pool(posted: queue.SimpleQueue[Any]) -> Iterator[FilePool]:
    pool = FilePool("worker", 2, posted.put)
    yield pool
    pool.close()


def submit(pool: FilePool, *works: Work) -> None:
    for work in works:
        pool.submit(work.spec, work, InputsStaged(work.key, None))


def test_work_is_done_and_its_end_posted_a_few_at_a_time(pool: FilePool, posted: queue.SimpleQueue[Any]) -> None:
    works = [Work(number) for number in range(1, 4)]
    submit(pool, *works)
    assert works[0].began.wait(WAIT_S)
    assert works[1].began.wait(WAIT_S)
    assert not works[2].began.is_set()
    works[1].may_end.set()
    assert posted.get(timeout=WAIT_S).key == works[1].key
    assert works[2].began.wait(WAIT_S)
    for work in works:
        work.may_end.set()


def test_long_work_holds_up_no_other(pool: FilePool) -> None:
    """All few places are taken by work that does not end; others still have their turn."""
    long, short = [Work(1), Work(2)], Work(3)
    submit(pool, *long, short)
    assert short.began.wait(WAIT_S)
    for work in (*long, short):
        work.may_end.set()


def test_the_jobs_of_one_type_or_project_cannot_take_all_places(pool: FilePool) -> None:
    """Eight places in all for a few of two: four for one type, six for one project."""
    greedy = [Work(number) for number in range(1, 10)]
    also_greedy = [Work(number, type_name="u") for number in range(11, 20)]
    submit(pool, *greedy, *also_greedy)
    other = Work(100, project="other")
    submit(pool, other)
    assert other.began.wait(WAIT_S)
    submit(pool, late := Work(101, project="other"))
    assert late.began.wait(WAIT_S)
    for work in (*greedy, *also_greedy, other, late):
        work.may_end.set()
    assert sum(work.began.is_set() for work in (*greedy, *also_greedy)) <= 6


def test_what_does_not_stop_is_left_behind_and_its_end_is_posted_once(
    pool: FilePool, posted: queue.SimpleQueue[Any]
) -> None:
    stubborn, waiting = Work(1), Work(2)
    submit(pool, stubborn)
    assert stubborn.began.wait(WAIT_S)
    pool.stop(stubborn.key)
    pool.stop(stubborn.key)
    assert posted.get(timeout=WAIT_S).key == stubborn.key
    stubborn.may_end.set()
    waiting.may_end.set()
    submit(pool, waiting)
    assert posted.get(timeout=WAIT_S).key == waiting.key
    assert posted.empty()


def test_work_that_had_not_begun_is_given_up_at_once(pool: FilePool, posted: queue.SimpleQueue[Any]) -> None:
    works = [Work(number) for number in range(1, 4)]
    submit(pool, *works)
    assert works[1].began.wait(WAIT_S)
    pool.stop(works[2].key)
    assert posted.get(timeout=WAIT_S).key == works[2].key
    assert not works[2].began.is_set()
    for work in works:
        work.may_end.set()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"])
def test_staging_from_a_server_that_falls_silent_is_given_up_at_once(
    tmp_path: Path, posted: queue.SimpleQueue[Any], says: bytes
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    asked = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(says)
        asked.set()
        connection.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    remover = FileRemover([str(tmp_path)])
    work = FileWork(
        ApiClient("http://127.0.0.1:1", "t"), Paths(str(tmp_path), "/l"), WorkDirs(str(tmp_path), remover),
        StagingResources("n1", FolderCache(str(tmp_path), 0, remover), remover), posted.put, 4,
    )  # fmt: skip
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    given = InputFile(file_id=FileId(1), file_name="x", size=100, sha256=None, url="/x", source=url)
    spec = a_spec(inputs=[InputSpec(name="in", type="file", files=[given])])
    assert work.stage(StageInputs(spec, None, None)) is None
    assert asked.wait(WAIT_S)
    work.stop((spec.execution_id, spec.attempt))
    staged = posted.get(timeout=WAIT_S)
    assert staged.failure is not None
    assert "given up" in staged.failure.message or "stopped" in staged.failure.message
    work.close()
    listener.close()
