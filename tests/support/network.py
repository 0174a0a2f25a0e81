"""Machines that are only networks: namespaces of the kernel on one bridge, each with an address of its own.

with network(3) as net:
    net.host          # the address under which this machine is reached from all of them
    net.names         # namespaces, for `ip netns exec NAME …`
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """The bridge's address, and the namespaces on it."""

    host: str
    names: list[str]


def missing() -> str | None:
    """Say why there can be none here; None if there can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if shutil.which("ip") is None:
        return "there is no `ip` here (Debian: apt-get install iproute2)"
    probe = f"gp{secrets.token_hex(2)}"
    tried = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"the kernel makes no network namespaces: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", probe], check=False)
    return None


@contextmanager
def network(count: int) -> Iterator[Network]:
    mark = secrets.token_hex(2)
    bridge, subnet = f"gb{mark}", f"10.{77 + bytes.fromhex(mark)[0] % 100}.{int.from_bytes(bytes.fromhex(mark[2:]))}"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        names = [f"gn{mark}-{number}" for number in range(1, count + 1)]
        for number, name in enumerate(names, start=1):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
            _ip("link", "add", f"gv{mark}{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"gv{mark}{number}", "master", bridge, "up")
            _ip("-n", name, "addr", "add", f"{subnet}.{number + 1}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield Network(f"{subnet}.1", names)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
