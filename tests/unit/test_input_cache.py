"""Inputs that were fetched are kept by their SHA-256, within a limit, and no job can change what is kept."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.files.input_cache import CacheWaitStopped, InputCache

KIB = 1024


def written(content: bytes) -> Callable[[int], None]:
    """Return the fetcher that writes this into the file it is given."""

    def write(fd: int) -> None:
        os.write(fd, content)

    return write


def put(cache: InputCache, content: bytes, size: int | None = None) -> str | None:
    digest = hashlib.sha256(content).hexdigest()
    with cache.hold(digest, len(content) if size is None else size, written(content)) as path:
        assert path is None or Path(path).read_bytes() == content
        return path


def test_it_is_fetched_once_and_found_again_in_a_later_life(tmp_path: Path) -> None:
    calls = []
    for life in range(2):
        cache = InputCache(tmp_path / "kept", 10 * KIB)
        for _ in range(2):
            with cache.hold("a" * 64, 3, lambda fd: calls.append((life, os.write(fd, b"abc")))) as path:  # noqa: B023  called right here
                assert path is not None
                assert Path(path).read_bytes() == b"abc"
    assert calls == [(0, 3)]


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = InputCache(tmp_path, 3 * KIB)
    one, two, three, four = (bytes([number]) * KIB for number in range(4))
    for content in (one, two, three, one, four):
        put(cache, content)
    kept = {path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {one, three, four}
    assert cache.used == 3 * KIB


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = InputCache(tmp_path, KIB)
    assert put(cache, b"x" * (2 * KIB)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_fetch_that_fails_leaves_nothing_and_the_next_one_tries_again(tmp_path: Path) -> None:
    cache = InputCache(tmp_path, KIB)

    def fail(_: int) -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError), cache.hold("b" * 64, 3, fail):
        pass
    assert list(tmp_path.iterdir()) == []
    assert put(cache, b"abc") is not None


def test_a_kept_file_of_another_size_is_fetched_anew(tmp_path: Path) -> None:
    cache = InputCache(tmp_path, KIB)
    path = put(cache, b"abc")
    assert path is not None
    Path(path).chmod(0o600)
    Path(path).write_bytes(b"cut")
    os.truncate(path, 1)
    assert put(cache, b"abc") == path


def test_two_that_want_the_same_wait_for_one_fetch(tmp_path: Path) -> None:
    cache, calls, go = InputCache(tmp_path, KIB), [], threading.Event()

    def fetch(fd: int) -> None:
        calls.append(1)
        go.wait(10)
        os.write(fd, b"abc")

    def want() -> None:
        with cache.hold("c" * 64, 3, fetch):
            pass

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_links_outlive_what_is_thrown_out(tmp_path: Path) -> None:
    cache = InputCache(tmp_path / "kept", KIB)
    with cache.hold("d" * 64, KIB, written(b"x" * KIB)) as path:
        os.link(str(path), tmp_path / "linked")
    put(cache, b"y" * KIB)
    assert (tmp_path / "linked").read_bytes() == b"x" * KIB
    assert (tmp_path / "linked").stat().st_mode & 0o222 == 0


def test_who_waits_for_another_s_fetch_can_be_told_to_stop(tmp_path: Path) -> None:
    """The server of the first one says nothing: the second one would wait for as long as the first."""
    cache, fetching, ends, stop = InputCache(tmp_path, 100), threading.Event(), threading.Event(), threading.Event()

    def fetch(fd: int) -> None:
        fetching.set()
        ends.wait(30)
        os.write(fd, b"x")

    def first() -> None:
        with cache.hold("d", 1, fetch):
            pass

    thread = threading.Thread(target=first)
    thread.start()
    assert fetching.wait(30)
    stop.set()
    with pytest.raises(CacheWaitStopped), cache.hold("d", 1, fetch, stop):
        pass
    ends.set()
    thread.join()
    with cache.hold("d", 1, fetch) as kept:
        assert kept is not None
