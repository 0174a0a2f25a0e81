"""Images: the root file system of an image is a folder of this node, or is fetched and exported into one.

The machine's own docker or podman fetches. Its image is exported into a folder of the node, once for each image id, and
from then on the tool is not needed. The agent runs the tool, so its rights and registry credentials never reach a job.

An image may hold anything, so it is unpacked with care (`unpacking`). The name of its folder cannot be guessed, and nobody
can list where it lies: who does not run the image does not read it.

A name may mean another image tomorrow, so the registry is asked each time. If it cannot answer, the image that the tool
has under that name is used. A digest means one image for ever, and `localhost/…` has no registry; in both cases the
tool's own image is used without asking.

How many bytes of images a node keeps has a bound (`folder_cache`). An image that was fetched for it, for the tool had none of
that name, leaves the tool's store when its folder goes: nobody else would ever remove it there.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from threading import Event as Flag
from typing import IO, Final, NamedTuple

from workers import removal
from workers.paths import PATH
from workers.runners import folder_cache, unpacking
from workers.runners.folder_cache import FolderCache
from workers.runners.unpacking import ImageError

FOLDER: Final = "dir:"
HOME: Final = folder_cache.IMAGES
TOOLS: Final = ("podman", "docker")
_MADE_HERE: Final = "localhost/"
_DIGEST: Final = "@sha256:"
_DONE: Final = ".complete"
_FETCHED: Final = ".fetched"
_COPIES: Final = 2
"""While an image is exported, its archive and its files are both there."""
_PATIENCE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image for one execution, by the name of its tree. `user` is who unpacks it; None for this process's own."""

    image: str
    tree: str
    user: tuple[int, int] | None = None


class _FoundImage(NamedTuple):
    """An image in the tool's store: its id, how large it is unpacked, and whether it was fetched for us alone."""

    identity: str
    size: int
    is_new: bool


@functools.cache
def tool() -> str | None:
    """Return the first program that can fetch images here, which needs a daemon or store; None if there is none."""
    for name in TOOLS:
        found = shutil.which(name, path=PATH)
        if found is None:
            continue
        if _answers(found):
            return found
    return None


def root_of(wanted: ImageRequest, work: str, kept: FolderCache, stop: Flag, with_tool: str | None = None) -> str:
    """Return the folder with the image's root file system, fetching it if need be. Raises ImageError.

    It stays for as long as the execution has its directory in `work`, which must be there already. `with_tool` is the program to fetch with, by default the machine's.
    """
    image = wanted.image
    if image.startswith(FOLDER):
        path = image.removeprefix(FOLDER)
        if not Path(path).is_dir():
            raise ImageError(f"The image {image!r} is not a folder on this node.", of_job=True)
        return os.path.realpath(path)
    with_tool = with_tool or tool()
    if with_tool is None:
        raise ImageError(f"This node has neither {' nor '.join(TOOLS)} to fetch the image {image!r} with.")
    try:
        found = _found(with_tool, image, stop)
    except ImageError as unknown:
        raise ImageError(str(unknown), of_job=_answers(with_tool)) from unknown
    home = Path(work, HOME, found.identity)
    kept.use(str(home), wanted.tree)
    if found.is_new:
        (home / _FETCHED).write_text(f"{with_tool}\n{found.identity}", encoding="utf-8")
    try:
        return _exported(with_tool, wanted, found, home, kept, stop)
    except folder_cache.NoRoomError as error:
        raise ImageError(f"The image {image!r} cannot be kept: {error}", of_job=error.of_job) from error


def forget(home: str) -> None:
    """The folder with this home goes: have its image removed from the tool's store, if it was fetched for it. Returns at once."""
    with contextlib.suppress(OSError, ValueError):
        with_tool, identity = Path(home, _FETCHED).read_text(encoding="utf-8").splitlines()
        threading.Thread(
            target=_run_quietly, args=([with_tool, "rmi", identity],), name=f"forget {identity}", daemon=True
        ).start()


def _answers(with_tool: str) -> bool:
    """Return whether the tool works here. `images` asks the daemon or opens the store, and does less than `info`."""
    try:
        answer = subprocess.run([with_tool, "images", "--quiet"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0


def _found(with_tool: str, image: str, stop: Flag) -> _FoundImage:
    """Return the image as the tool has it, fetched if need be. Raises ImageError."""
    before: str | None = None
    with contextlib.suppress(ImageError):
        before = _inspect(with_tool, image, stop)
    if before is None or not (image.startswith(_MADE_HERE) or _DIGEST in image):
        try:
            _run([with_tool, "pull", "--quiet", image], stop)
        except ImageError:
            if before is None:
                raise
    identity, _, size = _inspect(with_tool, image, stop).partition(" ")
    return _FoundImage(identity.rpartition(":")[2][:64], int(size) if size.isdecimal() else 0, before is None)


def _inspect(with_tool: str, image: str, stop: Flag) -> str:
    return _run([with_tool, "image", "inspect", "--format", "{{.Id}} {{.Size}}", image], stop).strip()


def _exported(
    with_tool: str, wanted: ImageRequest, found: _FoundImage, home: Path, kept: FolderCache, stop: Flag
) -> str:
    """Return the folder of the exported image. It is exported once; other threads that want the same wait."""
    with (home / "lock").open("wb") as lock:
        _await_turn(lock, stop)
        done = home / _DONE
        if not done.exists():
            for left in home.glob("root-*"):
                removal.remove(str(left))
            rootfs = home / f"root-{token_hex(16)}"
            with kept.room(str(home), _COPIES * found.size, "its content"):
                _export(with_tool, wanted, rootfs, kept.limit, stop)
            try:
                kept.admit(str(home), str(rootfs), "its content")
            except folder_cache.NoRoomError:
                removal.remove(str(rootfs))
                raise
            done.touch(mode=0o600)
            done.write_text(rootfs.name, encoding="ascii")
        return str(home / done.read_text(encoding="ascii"))


def _export(with_tool: str, wanted: ImageRequest, rootfs: Path, most: int, stop: Flag) -> None:
    """Have the tool write the image into an archive, and unpack that."""
    made = _run([with_tool, "create", wanted.image, "/bin/true"], stop).strip().splitlines()[-1]
    archive = rootfs.parent / "export.tar"
    try:
        _run([with_tool, "export", "--output", str(archive), made], stop)
        unpacking.unpack(archive, rootfs, stop, wanted.user, most)
    except ImageError:
        removal.remove(str(rootfs))
        raise
    finally:
        archive.unlink(missing_ok=True)
        _run_quietly([with_tool, "rm", "--force", made])


def _await_turn(lock: IO[bytes], stop: Flag) -> None:
    """Lock a file that another thread may hold for as long as a fetch takes. Raises ImageError when `stop` is set."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if stop.wait(_PATIENCE_S):
                raise ImageError("Fetching the image was stopped.") from None
        else:
            return


def _run(argv: list[str], stop: Flag) -> str:
    """Run a program and return its output; kill it when `stop` is set. Raises ImageError."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not stop.is_set():
            try:
                said, complaint = process.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue
            if process.returncode == 0:
                return said
            last = (complaint.strip().splitlines() or [f"it ended with {process.returncode}"])[-1]
            raise ImageError(f"{Path(argv[0]).name} {argv[1]} failed: {last[:300]}")
        process.kill()
    raise ImageError("Fetching the image was stopped.")


def _run_quietly(argv: list[str]) -> None:
    with contextlib.suppress(ImageError):
        _run(argv, Flag())
