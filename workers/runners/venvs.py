"""Virtual environments of job types that name requirements: made once for each interpreter and requirements.

An environment is made as the job's user and from wheels alone, so no code of a package runs before the job does, in
the job's own process tree. A complete environment belongs to the node, so that no job can change what another imports.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event as Flag
from typing import Any, Final

import orjson

from scheduler.wire import TaskSpec
from workers.paths import PATH

FOLDER: Final = ".venvs"
_DONE: Final = ".complete"
_PATIENCE_S: Final = 0.2
_ASKING_S: Final = 30.0
_SYSTEM_WHEELS: Final = Path("/usr/share/python-wheels")
_PASSED_ON: Final = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class VenvError(Exception):
    """The environment cannot be made; str() is the sentence for people."""


def is_wanted(spec: TaskSpec) -> bool:
    """Return whether the program needs an environment of its own."""
    return spec.commands.runner == "python" and bool(spec.commands.options.get("requirements"))


def location(work: str, spec: TaskSpec) -> str:
    """Return the folder of a spec's environment, made or not. Two projects never share one."""
    options = spec.commands.options
    wanted = [spec.project, interpreter(options), sorted(options.get("requirements") or [])]
    return f"{work}/{FOLDER}/{hashlib.sha256(orjson.dumps(wanted)).hexdigest()[:32]}/venv"


def interpreter(options: Mapping[str, object]) -> str:
    """Return the interpreter that a job type chose."""
    return str(options.get("interpreter", "python3"))


def make(spec: TaskSpec, work: str, user: tuple[int, int] | None, stop: Flag) -> None:
    """Make the environment if it is missing; other threads that want the same wait. Raises VenvError, OSError."""
    venv = Path(location(work, spec))
    home = venv.parent
    home.parent.mkdir(mode=0o711, exist_ok=True)
    home.mkdir(mode=0o711, exist_ok=True)
    with _locked(home / "lock", stop):
        if (home / _DONE).exists():
            os.utime(home / _DONE)
            return
        shutil.rmtree(venv, ignore_errors=True)
        venv.mkdir(mode=0o755)
        if user is not None:
            os.chown(venv, *user)
        options = spec.commands.options
        with _pip(home.parent) as pip:
            _run([interpreter(options), "-m", "venv", "--without-pip", str(venv)], venv, {}, user, stop)
            wanted = [
                "install",
                "--no-input",
                "--no-cache-dir",
                "--only-binary",
                ":all:",
                "--",
                *options["requirements"],
            ]
            _run([f"{venv}/bin/python", "-m", "pip", *wanted], venv, {"PYTHONPATH": pip}, user, stop)
        if user is not None:
            _take_over(venv)
        (home / _DONE).touch()


@contextlib.contextmanager
def _locked(path: Path, stop: Flag) -> Iterator[None]:
    with path.open("wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.wait(_PATIENCE_S):
                    raise VenvError("Making the Python environment was stopped.") from None
        yield


@contextlib.contextmanager
def _pip(folder: Path) -> Iterator[str]:
    """Yield the path of a pip that every user can read: the wheel that comes with Python, else an installed package."""
    ours = importlib.util.find_spec("ensurepip")  # Debian leaves it out
    bundled = [
        *(Path(ours.origin).parent.glob("_bundled/pip-*.whl") if ours and ours.origin else ()),
        *_SYSTEM_WHEELS.glob("pip-*.whl"),
    ]
    home = folder / ".pip"
    home.mkdir(mode=0o755, exist_ok=True)
    if bundled:
        target = home / bundled[0].name
        if not target.exists():
            shutil.copyfile(bundled[0], beside := target.with_suffix(f".{os.getpid()}"))
            beside.rename(target)
        yield str(target)
        return
    if not (home / "pip").exists():
        found = importlib.util.find_spec("pip")
        package = found.origin if found and found.origin else _machines_pip()
        shutil.copytree(Path(package).parent, home / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    yield str(home)


def _machines_pip() -> str:
    """Return the path of the machine's pip. A job type's interpreter is not asked: it would run with the node's rights."""
    for one in (str(Path(sys.base_prefix, "bin", "python3")), "/usr/bin/python3"):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            asked = subprocess.run(
                [one, "-I", "-c", "import pip; print(pip.__file__)"],
                capture_output=True, text=True, check=False, timeout=_ASKING_S, env={"PATH": PATH},
            )  # fmt: skip
            if asked.returncode == 0:
                return asked.stdout.strip()
    raise VenvError("This node has no pip to install requirements with.")


def _run(argv: Sequence[str], cwd: Path, more: Mapping[str, str], user: tuple[int, int] | None, stop: Flag) -> None:
    passed = {name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED_ON)}
    env = {"PATH": PATH, "HOME": str(cwd), "TMPDIR": str(cwd), "LANG": "C.UTF-8", **passed, **more}
    identity: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
    try:
        process = subprocess.Popen(
            list(argv), env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, **identity,
        )  # fmt: skip
    except OSError as error:
        raise VenvError(f"The interpreter {argv[0]!r} cannot be started: {error.strerror}.") from error
    with process:
        while not stop.is_set():
            try:
                said, _ = process.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue
            if process.returncode == 0:
                return
            raise VenvError(_sentence(argv, said.decode(errors="replace")))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    raise VenvError("Making the Python environment was stopped.")


def _sentence(argv: Sequence[str], said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    what = "The requirements cannot be installed" if "pip" in argv else "The Python environment cannot be made"
    return f"{what}: {' '.join(errors)[:500]}"


def _take_over(venv: Path) -> None:
    """Make the node the owner of everything in it, and leave nobody else able to write."""
    for _, folders, files, fd in os.fwalk(venv, follow_symlinks=False):
        os.fchown(fd, 0, 0)
        os.fchmod(fd, 0o755)
        for name in (*folders, *files):  # a folder here may be a link; real folders have their own turn
            os.chown(name, 0, 0, dir_fd=fd, follow_symlinks=False)
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                os.chmod(name, mode & 0o755 | 0o444, dir_fd=fd)
