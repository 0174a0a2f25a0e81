"""Images: the root file system of an image is a folder of this node, or is fetched and exported into one.

The machine's own docker or podman fetches. Its image is exported into a folder of the node, once for each image id, and
from then on the tool is not needed. The agent runs the tool, so its rights and registry credentials never reach a job.

An image may hold anything. It is unpacked by a user without rights, who gets plain files, folders and links alone, and
without set-user-id bits, capabilities and other attributes; then it belongs to the node. The name of its folder cannot be
guessed, and nobody can list where it lies: who does not run the image does not read it.

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
import tarfile
import tempfile
import time
from pathlib import Path
from secrets import token_hex
from threading import Event as Flag
from typing import IO, Any, Final

from workers import removal
from workers.paths import PATH
from workers.runners import taking

FOLDER: Final = "dir:"
TOOLS: Final = ("podman", "docker")
_MADE_HERE: Final = "localhost/"
_DIGEST: Final = "@sha256:"
_DONE: Final = ".complete"
_PATIENCE_S: Final = 0.2
_MOST_COMPLAINT: Final = 4096
_MOST_MEMBERS: Final = 2_000_000
_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644
_EXECUTABLE: Final = 0o111


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


def root_of(image: str, folder: Path, stop: Flag, user: tuple[int, int] | None = None) -> str:
    """Return the folder with the image's root file system, fetching it if need be. Raises ImageError.

    `user` is who unpacks it; None for this process's own.
    """
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
    return _exported(with_tool, image, folder / identity[:64], stop, user)


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


def _exported(with_tool: str, image: str, home: Path, stop: Flag, user: tuple[int, int] | None) -> str:
    """Return the folder of the exported image. It is exported once; other threads that want the same wait."""
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    with (home / "lock").open("wb") as lock:
        _await_turn(lock, stop)
        done = home / _DONE
        if not done.exists():
            for left in home.glob("root-*"):
                removal.remove(str(left))
            rootfs = home / f"root-{token_hex(16)}"
            made = _run([with_tool, "create", image, "/bin/true"], stop).strip().splitlines()[-1]
            archive = home / "export.tar"
            try:
                _run([with_tool, "export", "--output", str(archive), made], stop)
                unpack(archive, rootfs, stop, user)
            finally:
                archive.unlink(missing_ok=True)
                _run([with_tool, "rm", "--force", made], Flag())
            done.touch(mode=0o600)
            done.write_text(rootfs.name, encoding="ascii")
        return str(home / done.read_text(encoding="ascii"))


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


def unpack(archive: Path, rootfs: Path, stop: Flag, user: tuple[int, int] | None) -> None:
    """Unpack an archive into a new folder, by a program that runs as `user`, and take the folder over. Raises ImageError."""
    rootfs.mkdir(mode=0o700)
    identity: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
    if user is not None:
        os.chown(rootfs, *user)
    program = shutil.which("tar", path=PATH)
    if program is None:
        raise ImageError("This node has no tar to unpack images with.")
    # A file, not a pipe: nobody reads it while the archive is written, and an image decides how much there is to complain of.
    with tempfile.TemporaryFile() as complaints, subprocess.Popen(
        [program, "--extract", "--no-same-owner", "--no-same-permissions", "--delay-directory-restore"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints, cwd=rootfs, env={"PATH": PATH}, **identity,
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101  asked for above
        try:
            _filter(archive, process.stdin, stop)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and has said why
        except BaseException:
            process.kill()
            raise
        process.wait()
        complaints.seek(-min(complaints.seek(0, os.SEEK_END), _MOST_COMPLAINT), os.SEEK_END)
        said = complaints.read()
    if process.returncode != 0:
        last = (said.decode(errors="replace").strip().splitlines() or ["it ended badly"])[-1]
        raise ImageError(f"The image cannot be unpacked: {last[:300]}")
    try:
        taking.take_over(rootfs, linked=() if user is None else (user[0],))
    except taking.UntakeableError as error:
        raise ImageError(f"The image {error}.", of_job=True) from error


def _filter(archive: Path, target: IO[bytes], stop: Flag) -> None:
    """Write an archive again with what an image may have: files, folders and links, under plain modes."""
    try:
        with tarfile.open(archive) as source, tarfile.open(fileobj=target, mode="w|") as sink:
            now = int(time.time())
            for number, member in enumerate(source):
                if stop.is_set():
                    raise ImageError("Fetching the image was stopped.")
                if number > _MOST_MEMBERS:
                    raise ImageError(f"The image has more than {_MOST_MEMBERS} files.", of_job=True)
                plain = tarfile.TarInfo(member.name)
                plain.type, plain.linkname = member.type, member.linkname
                plain.mtime = min(member.mtime, now)  # a time to come would be a complaint for each file
                plain.mode = _FOLDER_MODE if member.isdir() or member.mode & _EXECUTABLE else _FILE_MODE
                if member.isreg():
                    plain.type, plain.size = tarfile.REGTYPE, member.size
                    sink.addfile(plain, source.extractfile(member))
                elif member.isdir() or member.issym() or member.islnk():
                    sink.addfile(plain)
                source.members.clear()  # type: ignore[attr-defined]  # or all of them stay in memory
    except tarfile.TarError as error:
        raise ImageError(f"The image cannot be read: {error}", of_job=True) from error


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
