"""What a node keeps of environments and images has a bound: the least recently used go, and never one that is in use."""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import state_folder
from workers.removal import FileRemover
from workers.runners import images
from workers.runners.folder_cache import ENVIRONMENTS, FolderCache, NoRoomError
from workers.runners.images import ImageRequest
from workers.runners.unpacking import ImageError

MIB = 1 << 20
USER = (65534, 65534) if os.geteuid() == 0 else None


@pytest.fixture
def work() -> Iterator[Path]:
    with state_folder() as folder:
        folder.chmod(0o711)
        yield folder


def a_cache(work: Path, mib: int) -> FolderCache:
    return FolderCache(str(work), mib * MIB, FileRemover([str(work)]))


def make(cache: FolderCache, work: Path, name: str, mib: int, tree: str) -> Path:
    """Play an execution that makes a folder of this size and uses it."""
    (work / tree).mkdir(exist_ok=True)
    home = work / ENVIRONMENTS / name
    cache.use(str(home), tree)
    (home / "made").mkdir()
    (home / "made" / "content").write_bytes(os.urandom(mib * MIB))
    cache.admit(str(home), str(home / "made"), name)
    return home


def test_the_least_recently_used_goes_when_another_needs_the_room(work: Path) -> None:
    cache = a_cache(work, 5)
    first, second = make(cache, work, "a", 2, "1.1"), make(cache, work, "b", 2, "2.1")
    cache.use(str(first), "3.1")
    for tree in ("1.1", "2.1"):
        (work / tree).rmdir()
    third = make(cache, work, "c", 2, "4.1")
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)
    assert 4 * MIB <= cache.used <= 5 * MIB
    assert cache.spare_bytes == cache.limit - cache.used


def test_what_an_execution_uses_never_goes(work: Path) -> None:
    cache = a_cache(work, 5)
    first, second = make(cache, work, "a", 2, "1.1"), make(cache, work, "b", 2, "2.1")
    with pytest.raises(NoRoomError, match=r"keeps 5 MiB .* no room for c") as refused:
        make(cache, work, "c", 2, "3.1")
    assert not refused.value.of_job
    assert first.exists()
    assert second.exists()


def test_what_is_larger_than_all_that_is_kept_is_the_job_s_own_fault(work: Path) -> None:
    cache = a_cache(work, 1)
    with pytest.raises(NoRoomError, match="c takes more than the 1 MiB that this node keeps") as refused:
        make(cache, work, "c", 2, "1.1")
    assert refused.value.of_job


def test_a_later_life_knows_sizes_use_and_order(work: Path) -> None:
    cache = a_cache(work, 6)
    used, unused = make(cache, work, "a", 2, "1.1"), make(cache, work, "b", 2, "2.1")
    (work / "2.1").rmdir()
    before = cache.used
    later = a_cache(work, 6)
    assert later.used == before
    make(later, work, "c", 3, "3.1")
    assert (used.exists(), unused.exists()) == (True, False)
    assert a_cache(work, 0).used >= 2 * MIB
    assert used.exists()


def test_homes_of_environments_that_were_never_made_do_not_pile_up(work: Path) -> None:
    cache = a_cache(work, 100)
    (work / ENVIRONMENTS).mkdir()
    for number in range(1100):
        cache.use(str(work / ENVIRONMENTS / str(number)), f"{number}.1")
    assert len(list((work / ENVIRONMENTS).iterdir())) == 1000


TOOL = """\
#!/bin/sh
echo "$*" >> {folder}/asked
case "$1" in
    image) [ -e {folder}/fetched ] || {{ echo "no such image" >&2; exit 1; }}; echo "sha256:abc {size}" ;;
    pull) touch {folder}/fetched ;;
    create) echo container ;;
    export) cp {folder}/image.tar "$3" ;;
    rmi) rm {folder}/fetched ;;
esac
"""


class Tool:
    """A program in the place of docker, with one image of 2 MiB."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path, self.folder = folder / "docker", folder
        (folder / "content").write_bytes(os.urandom(2 * MIB))
        with tarfile.open(folder / "image.tar", "w") as archive:
            archive.add(folder / "content", "content")
        self.path.write_text(TOOL.format(folder=folder, size=2 * MIB))
        self.path.chmod(0o755)

    def asked(self) -> list[str]:
        return [line.split()[0] for line in (self.folder / "asked").read_text().splitlines()]


def root_of(tool: Tool, work: Path, cache: FolderCache, tree: str) -> Path:
    (work / tree).mkdir()
    wanted = ImageRequest("registry/image:1", tree, USER)
    return Path(images.root_of(wanted, str(work), cache, threading.Event(), str(tool.path)))


def test_an_image_is_exported_once_and_counted(work: Path) -> None:
    cache, tool = a_cache(work, 8), Tool(work / "tool")
    root = root_of(tool, work, cache, "1.1")
    assert (root / "content").stat().st_size == 2 * MIB
    assert 2 * MIB <= cache.used < 3 * MIB
    assert root_of(tool, work, cache, "2.1") == root
    assert tool.asked().count("export") == 1


def test_an_image_that_was_fetched_leaves_the_tool_s_store_with_its_folder(work: Path) -> None:
    gone = threading.Event()

    def leaves(home: str) -> None:
        images.forget(home)
        gone.set()

    tool = Tool(work / "tool")
    cache = FolderCache(str(work), 5 * MIB, FileRemover([str(work)]), leaves)
    root = root_of(tool, work, cache, "1.1")
    (work / "1.1").rmdir()
    make(cache, work, "a", 4, "2.1")
    assert gone.wait(30)
    assert not root.exists()
    for thread in threading.enumerate():
        if thread.name.startswith("forget"):
            thread.join(30)
    assert tool.asked()[-1] == "rmi"


def test_an_image_that_is_too_large_is_refused_by_what_it_holds(work: Path) -> None:
    cache, tool = a_cache(work, 3), Tool(work / "tool")
    with pytest.raises(ImageError, match="cannot be kept: its content takes more than the 3 MiB") as refused:
        root_of(tool, work, cache, "1.1")
    assert refused.value.of_job
    tool.path.write_text(tool.path.read_text().replace(str(2 * MIB), "10"))  # it says that it is small
    cache = a_cache(work, 1)
    with pytest.raises(ImageError, match="larger than what this node keeps"):
        root_of(tool, work, cache, "2.1")
    assert not list(work.glob(".images/*/root-*"))
