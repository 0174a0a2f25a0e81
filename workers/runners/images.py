"""Images: the root file system of an image is a folder of this node, or is fetched and exported into one.

The machine's own docker or podman fetches. Its image is exported into a folder of the node, once for each image id, and
from then on the tool is not needed. The agent runs the tool, so its rights and registry credentials never reach a job.

A name may mean another image tomorrow, so the registry is asked each time. If it cannot answer, the image that the tool
has under that name is used. A digest means one image for ever, and `localhost/…` has no registry; in both cases the
tool's own image is used without asking.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
from pathlib import Path
from threading import Event as Flag
from typing import Final

from workers.paths import PATH

FOLDER: Final = "dir:"
TOOLS: Final = ("podman", "docker")
_MADE_HERE: Final = "localhost/"
_DIGEST: Final = "@sha256:"
_DONE: Final = ".complete"
_PATIENCE_S: Final = 0.2


class ImageError(Exception):
    """The image cannot be fetched; str() is the sentence for people.

    `of_job`: there is no image of that name, as far as can be told. Otherwise the node cannot fetch or keep images.
    """

    def __init__(self, sentence: str, *, of_job: bool = False) -> None:
        super().__init__(sentence)
        self.of_job = of_job


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


def root_of(image: str, folder: Path, stop: Flag) -> str:
    """Return the folder with the image's root file system, fetching it if need be. Raises ImageError."""
    if image.startswith(FOLDER):
        path = image.removeprefix(FOLDER)
        if not Path(path).is_dir():
            raise ImageError(f"The image {image!r} is not a folder on this node.", of_job=True)
        return os.path.realpath(path)
    with_tool = tool()
    if with_tool is None:
        raise ImageError(f"This node has neither {' nor '.join(TOOLS)} to fetch the image {image!r} with.")
    try:
        identity = _identity(with_tool, image, stop).strip().rpartition(":")[2]
    except ImageError as unknown:
        raise ImageError(str(unknown), of_job=_answers(with_tool)) from unknown
    return _exported(with_tool, image, folder / identity[:64], stop)


def _answers(with_tool: str) -> bool:
    """Return whether the tool works here. `images` asks the daemon or opens the store, and does less than `info`."""
    try:
        answer = subprocess.run([with_tool, "images", "--quiet"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0


def _identity(with_tool: str, image: str, stop: Flag) -> str:
    inspect = [with_tool, "image", "inspect", "--format", "{{.Id}}", image]
    if image.startswith(_MADE_HERE) or _DIGEST in image:
        with contextlib.suppress(ImageError):
            return _run(inspect, stop)
    try:
        _run([with_tool, "pull", "--quiet", image], stop)
    except ImageError as unreachable:
        try:
            return _run(inspect, stop)
        except ImageError:
            raise unreachable from None
    return _run(inspect, stop)


def _exported(with_tool: str, image: str, home: Path, stop: Flag) -> str:
    """Return the folder of the exported image. It is exported once; other threads that want the same wait."""
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    rootfs = home / "rootfs"
    with (home / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / _DONE).exists():
            shutil.rmtree(rootfs, ignore_errors=True)
            rootfs.mkdir(mode=0o755)
            made = _run([with_tool, "create", image, "/bin/true"], stop).strip().splitlines()[-1]
            try:
                archive = home / "export.tar"
                _run([with_tool, "export", "--output", str(archive), made], stop)
                _run(["tar", "--extract", "--file", str(archive), "--directory", str(rootfs), "--no-same-owner"], stop)
                archive.unlink()
            finally:
                _run([with_tool, "rm", "--force", made], Flag())
            (home / _DONE).touch()
    return str(rootfs)


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
