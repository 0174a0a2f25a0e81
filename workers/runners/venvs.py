"""Python environments of job types that name requirements: made once for each project, interpreter and requirements.

An environment is made by a run of its own, before the pre command: in the execution's own process tree, as its user, within
its limits and the time of its pre phase. The node itself executes nothing of it. It is made inside the attempt's
directory, so that it counts as the execution's disk, but under the name that it will have:

    <work>/.venvs/<digest>/<tree> -> <work>/<tree>/env        a link while it is made
    <work>/.venvs/<digest>/<tree>/venv                        moved there when it is complete, and the node's from then on
    <work>/.venvs/<digest>/current -> <tree>                  the one that jobs use

Two executions that need the same one at the same time both make it; the first that is complete stays. An environment that
is complete belongs to the node, and no job can change what another imports. The digest names the project: two
projects never share one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from scheduler.wire import TaskSpec
from workers import removal
from workers.paths import PATH, ExecutionKey, Paths, tree_name
from workers.runners import folder_cache, interpreters, taking
from workers.runners.folder_cache import FolderCache
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest

FOLDER: Final = folder_cache.ENVIRONMENTS
_CURRENT: Final = "current"
_ASKING_S: Final = 30.0
_SYSTEM_WHEELS: Final = Path("/usr/share/python-wheels")

_MAKE: Final = """\
import os, sys, venv
real, final, pip = sys.argv[1:4]
os.makedirs(real)
venv.EnvBuilder(symlinks=True).create(final)
python = final + "/bin/python"
words = ["-m", "pip", "install", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--only-binary", ":all:", "--"]
os.execve(python, [python, *words, *sys.argv[4:]], {**os.environ, "PYTHONPATH": pip})
"""


class VenvError(Exception):
    """The environment cannot be made or kept; str() is the sentence for people."""


def is_wanted(spec: TaskSpec) -> bool:
    """Return whether the program needs an environment of its own."""
    return spec.commands.runner == "python" and bool(spec.commands.options.get("requirements"))


def interpreter(options: Mapping[str, object]) -> str:
    """Return the interpreter that a job type chose, as it wrote it."""
    return str(options.get("interpreter", "python3"))


def location(work: str, spec: TaskSpec) -> str:
    """Return the folder of a spec's environment, made or not."""
    return f"{_home(work, spec)}/{_CURRENT}/venv"


def prepare(spec: TaskSpec, work: str, kept: FolderCache) -> bool:
    """Return whether the environment has to be made, with all in place for `launch` if so. Raises VenvError, OSError.

    From then on the execution uses it, whose directory must be there already.
    """
    home = Path(_home(work, spec))
    kept.use(str(home), tree_name((spec.execution_id, spec.attempt)))
    if (home / _CURRENT / "venv").is_dir():
        return False
    for entry in home.iterdir():
        is_of_one = entry.name != _CURRENT and entry.is_symlink()
        if is_of_one and not os.path.lexists(f"{work}/{entry.name}"):  # it has failed
            entry.unlink(missing_ok=True)
    key = spec.execution_id, spec.attempt
    link = home / tree_name(key)
    _remove(link)
    link.symlink_to(f"{work}/{tree_name(key)}/env")
    _pip(home.parent)
    return True


def launch(request: LaunchRequest) -> Launch:
    """Return the program that makes the environment, after `prepare`. Raises LaunchRefused."""
    work, options = request.paths.work, request.spec.commands.options
    try:
        python = interpreters.choose(request.python.interpreters, interpreter(options))
    except interpreters.UnknownInterpreter as unknown:
        raise LaunchRefused(str(unknown), of_job=False) from unknown
    final = f"{_home(work, request.spec)}/{tree_name(request.key)}/venv"
    scratch = request.paths.scratch(request.key)
    environment = {"PATH": PATH, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", **request.python.pip_variables}
    wanted = [str(one) for one in options.get("requirements") or []]
    argv = [python, "-I", "-c", _MAKE, _made_in(request.paths, request.key), final, f"{work}/{FOLDER}/.pip", *wanted]
    return Launch(argv, environment)


def keep(spec: TaskSpec, paths: Paths, kept: FolderCache) -> None:
    """Make a complete environment the node's own, for this and later executions. May be repeated. Raises VenvError, OSError.

    The tree that has made it must be dead.
    """
    home, name = Path(_home(paths.work, spec)), tree_name((spec.execution_id, spec.attempt))
    made = Path(_made_in(paths, (spec.execution_id, spec.attempt))).parent
    if made.is_dir() and not made.is_symlink():
        try:
            taking.take_over(made)
        except taking.UntakeableError as error:
            raise VenvError(f"The Python environment {error}.") from error
        try:
            kept.admit(str(home), str(made), "the Python environment")
        except folder_cache.NoRoomError as error:
            raise VenvError(f"The Python environment cannot be kept: {error}") from error
        _remove(home / name)
        made.rename(home / name)
    if not (home / name / "venv").is_dir():
        if (home / _CURRENT / "venv").is_dir():
            return
        raise VenvError("The Python environment is not where it was made.")
    fresh = home / f".{name}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    if (home / _CURRENT / "venv").is_dir():  # another execution was quicker
        fresh.unlink()
        if os.readlink(home / _CURRENT) != name:  # noqa: PTH115
            _remove(home / name)
        return
    fresh.rename(home / _CURRENT)


def _home(work: str, spec: TaskSpec) -> str:
    options = spec.commands.options
    wanted = [spec.project, interpreter(options), sorted(options.get("requirements") or [])]
    return f"{work}/{FOLDER}/{hashlib.sha256(orjson.dumps(wanted)).hexdigest()[:32]}"


def _made_in(paths: Paths, key: ExecutionKey) -> str:
    return f"{paths.attempt(key)}/env/venv"


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink(missing_ok=True)
    elif path.exists():
        removal.remove(str(path))  # a job has made it: it may be nested without end


def _pip(folder: Path) -> None:
    """Provide a pip that every user can read: out of the wheel that comes with Python, else of an installed package."""
    home = folder / ".pip"
    if home.exists():
        return
    fresh = folder / f".pip.{os.getpid()}.{os.urandom(4).hex()}"
    ours = importlib.util.find_spec("ensurepip")  # Debian leaves it out
    bundled = [
        *(Path(ours.origin).parent.glob("_bundled/pip-*.whl") if ours and ours.origin else ()),
        *_SYSTEM_WHEELS.glob("pip-*.whl"),
    ]
    if bundled:
        shutil.unpack_archive(bundled[0], fresh, "zip")
    else:
        found = importlib.util.find_spec("pip")
        package = found.origin if found and found.origin else _machines_pip()
        fresh.mkdir(mode=0o755)
        shutil.copytree(Path(package).parent, fresh / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    try:
        fresh.rename(home)
    except OSError:  # another thread was quicker
        shutil.rmtree(fresh, ignore_errors=True)


def _machines_pip() -> str:
    """Return the path of the machine's pip, by asking a Python that only root can have put there."""
    for one in (str(Path(sys.base_prefix, "bin", "python3")), "/usr/bin/python3"):
        if not interpreters.is_trusted(one, {os.geteuid()}):
            continue
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            asked = subprocess.run(
                [one, "-I", "-c", "import pip; print(pip.__file__)"],
                capture_output=True, text=True, check=False, timeout=_ASKING_S, env={"PATH": PATH},
            )  # fmt: skip
            if asked.returncode == 0:
                return asked.stdout.strip()
    raise VenvError("This node has no pip to install requirements with.")
