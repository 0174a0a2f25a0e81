"""Style sheet and scripts: read once, named by their content, so that browsers keep them for ever and never an old one."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
DIGEST_LETTERS = 12


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent: its address beneath `/ui/static/`, its type, its bytes plain and packed."""

    address: str
    media_type: str
    data: bytes
    packed: bytes


@cache
def all_files() -> Mapping[str, StaticFile]:
    """Return every file by its name in the folder."""
    return {
        str(path.relative_to(FOLDER)): _read(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }


@cache
def by_address() -> Mapping[str, StaticFile]:
    """Return every file by the last part of its address."""
    return {file.address: file for file in all_files().values()}


def address(name: str) -> str:
    """Return the address of a file beneath `/ui/static/`."""
    return all_files()[name].address


def _read(path: Path) -> StaticFile:
    data = path.read_bytes()
    if path.suffix == ".js":
        data = _with_addresses(data)
    digest = hashlib.sha256(data).hexdigest()[:DIGEST_LETTERS]
    named = f"{path.stem}.{digest}{path.suffix}"
    return StaticFile(named, TYPES[path.suffix], data, gzip.compress(data, 9, mtime=0))


def _with_addresses(data: bytes) -> bytes:
    """Return a module whose imports of its neighbours (`from "./other.js"`) name them by their content, too."""
    for other in sorted(FOLDER.rglob("*.js")):
        mark = f'"./{other.relative_to(FOLDER)}"'.encode()
        if mark in data:
            data = data.replace(mark, f'"./{_read(other).address}"'.encode())
    return data
