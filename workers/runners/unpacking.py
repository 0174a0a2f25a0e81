"""Unpacking: the archive of an image becomes a folder of the node's own.

An image may hold anything. It is unpacked by a user without rights, who gets plain files, folders and links alone, and
without set-user-id bits, capabilities and other attributes; then it belongs to the node.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from threading import Event as Flag
from typing import IO, Any, Final

from workers.paths import PATH
from workers.runners import taking

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


def unpack(archive: Path, rootfs: Path, stop: Flag, user: tuple[int, int] | None, most: float = float("inf")) -> None:
    """Unpack an archive of at most so many bytes into a new folder, by a program that runs as `user`, and take the folder over.

    Raises ImageError.
    """
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
            _filter(archive, process.stdin, stop, most)
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


def _filter(archive: Path, target: IO[bytes], stop: Flag, most: float) -> None:
    """Write an archive again with what an image may have: files, folders and links, under plain modes."""
    try:
        with tarfile.open(archive) as source, tarfile.open(fileobj=target, mode="w|") as sink:
            now = int(time.time())
            for number, member in enumerate(source):
                if stop.is_set():
                    raise ImageError("Fetching the image was stopped.")
                most -= member.size if member.isreg() else 0
                if most < 0:
                    raise ImageError("The image is larger than what this node keeps of images.", of_job=True)
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
