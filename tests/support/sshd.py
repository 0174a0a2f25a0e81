"""A real sshd of one's own on loopback: its own keys, its own port, the account that runs the tests. Nothing is installed.

with sshd(folder) as server:
    server.ssh       # words that begin an ssh command line to it; the host is `server.address`
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PLACES = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/local/bin/sshd")


@dataclass(frozen=True)
class Server:
    """How to reach it."""

    address: str
    ssh: list[str]


def missing() -> str | None:
    """Say what is missing for an sshd here; None if nothing is."""
    if program() is None:
        return "there is no sshd here (Debian: apt-get install openssh-server)"
    return None if shutil.which("ssh") and shutil.which("ssh-keygen") else "there is no OpenSSH client here"


def program() -> str | None:
    return shutil.which("sshd") or next((place for place in PLACES if os.access(place, os.X_OK)), None)


@contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    port = _free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates its privileges
    process = subprocess.Popen([str(program()), "-D", "-e", "-f", folder / "config"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "listening" in line:
                break
        else:
            raise AssertionError(f"sshd ended with {process.wait()}")
        options = ["-F", "none", "-p", str(port), "-i", folder / "user", "-o", f"UserKnownHostsFile={folder}/known"]
        yield Server(f"{getpass.getuser()}@127.0.0.1", ["ssh", *map(str, options)])
    finally:
        process.terminate()
        process.wait(10)
        assert process.stderr is not None
        process.stderr.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
