"""What an image holds becomes plain files of the node's: whatever it says of users, rights and devices."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
from pathlib import Path
from threading import Event

import pytest

from tests.support.servers import state_folder
from workers.runners import unpacking

NOBODY = (65534, 65534) if os.geteuid() == 0 else None


def an_archive(folder: Path) -> Path:
    """An archive with all that an image must not bring along."""
    path = folder / "export.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:

        def add(
            name: str, kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644, link: str = "", content: bytes = b""
        ) -> None:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.linkname, member.size = kind, mode, link, len(content)
            member.uid = member.gid = 0
            if kind == tarfile.REGTYPE:
                member.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\xff\xff"}
            archive.addfile(member, io.BytesIO(content))

        add("bin", tarfile.DIRTYPE, mode=0o2777)
        add("bin/su", mode=0o6755, content=b"#!/bin/sh\n")
        add("bin/also-su", tarfile.LNKTYPE, link="bin/su")
        add("etc", tarfile.DIRTYPE, mode=0o700)
        add("etc/shadow", mode=0o000, content=b"root")
        add("etc/mtab", tarfile.SYMTYPE, link="/proc/mounts")
        add("dev/sda", tarfile.BLKTYPE, mode=0o666)
        add("dev/fifo", tarfile.FIFOTYPE, mode=0o666)
    return path


def test_set_user_id_bits_devices_and_attributes_stay_behind() -> None:
    with state_folder() as folder:
        folder.chmod(0o700)  # nobody else can enter
        rootfs = folder / "rootfs"
        unpacking.unpack(an_archive(folder), rootfs, Event(), NOBODY)
        found = {str(path.relative_to(rootfs)): path.lstat() for path in rootfs.rglob("*")}
        assert set(found) == {"bin", "bin/su", "bin/also-su", "etc", "etc/shadow", "etc/mtab"}
        for name, state in found.items():
            assert state.st_uid == os.geteuid(), name
            assert stat.S_ISLNK(state.st_mode) or not state.st_mode & 0o7022, (name, oct(state.st_mode))
            assert not os.listxattr(rootfs / name, follow_symlinks=False), name
        assert found["bin/su"].st_mode & 0o777 == 0o755
        assert (rootfs / "etc/mtab").readlink() == Path("/proc/mounts")


@pytest.mark.parametrize("name", ["../out", "way/../../out", "/out"])
def test_an_archive_cannot_leave_its_folder(name: str) -> None:
    with state_folder() as folder:
        (folder / "inside").mkdir()
        path = folder / "export.tar"
        with tarfile.open(path, "w") as archive:
            link = tarfile.TarInfo("way")
            link.type, link.linkname = tarfile.SYMTYPE, str(folder)
            archive.addfile(link)
            archive.addfile(tarfile.TarInfo(name))
        with contextlib.suppress(unpacking.ImageError):
            unpacking.unpack(path, folder / "inside/rootfs", Event(), NOBODY)
        assert not (folder / "out").exists()
        assert not (folder / "inside/out").exists()
        assert not Path("/out").exists()


def test_what_is_no_archive_is_refused_with_a_sentence() -> None:
    with state_folder() as folder:
        (folder / "export.tar").write_bytes(b"x" * 2000)
        with pytest.raises(unpacking.ImageError, match="cannot be read"):
            unpacking.unpack(folder / "export.tar", folder / "rootfs", Event(), NOBODY)


def test_an_image_made_under_a_wrong_clock_is_unpacked_however_many_files_it_has() -> None:
    with state_folder() as folder:
        archive = folder / "export.tar"
        with tarfile.open(archive, "w") as made:
            for number in range(3_000):
                member = tarfile.TarInfo(f"from-the-future-{number}")
                member.mtime = 4_000_000_000
                made.addfile(member)
        unpacking.unpack(archive, folder / "rootfs", Event(), NOBODY)
        assert len(list((folder / "rootfs").iterdir())) == 3_000
