"""Starts a program inside its tree, as its user, in its directory, at the price of a bare vfork.

The supervisor's thread takes on what the program shall have, with one call each: cgroups, user, working directory, soft
limits. Then it starts the program by `posix_spawn`, whose child inherits all of that, and becomes itself again. Thus
nothing has to run between fork and exec, and there is no wrapper program to pay for. Only a version 2 cgroup needs a
real fork; its child does the rest itself.

From a confinement (mounts, a filter of kernel calls) there is no way back. A thread takes it on that is kept for the next
run with the same one (`cells`), or that is made for this one start and ends.

While the thread has a job's user, a process of that same user could signal the thread. If each execution slot has a user
of its own, no process of that user is alive at that moment.
"""

import contextlib
import errno
import mmap
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

from workers.supervisor import syscalls, threads
from workers.supervisor.confining import capabilities, confinement
from workers.supervisor.confining.cells import Cell, CellStock
from workers.supervisor.confining.syscall_filter import KINDS, SyscallFilter
from workers.supervisor.process_limits import ProcessLimits
from workers.supervisor.request import RunRequest
from workers.supervisor.trees import StrandedError, Tree, forking, scan

_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_UMASK: Final = 0o022
_OF_PROGRAM: Final = frozenset(
    {
        errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
        errno.E2BIG, errno.EINVAL, errno.EILSEQ, errno.ETXTBSY, errno.ELIBBAD,
    }
)  # fmt: skip
_FAILED: Final = 127  # exit code of a child that could not execute; why, it writes into shared memory
_FAILURE: Final = struct.Struct("i?")  # errno, and whether it was the directory that failed


class LaunchError(OSError):
    """The program could not be started; the message says why, for the job's owner."""


class ProgramError(LaunchError):
    """The program itself is at fault: there is none of that name, or it may not or cannot be executed as requested."""


class ProcessSpawner:
    """Starts programs. Make it and use it in one and the same thread."""

    def __init__(self, node: str) -> None:
        syscalls.own_directory()
        os.umask(_UMASK)
        os.chdir("/")
        self._node = node
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._groups = os.getgroups()
        self._is_root = os.geteuid() == 0
        self._ignored = _ignored_signals()
        self._failure = mmap.mmap(-1, mmap.PAGESIZE)  # shared with children that are forked, not vforked
        forking.prepare()
        self._limits = ProcessLimits()
        if self._is_root:
            syscalls.forbid_new_privileges()
        self.filters, self.missing = _filters()
        self.missing += threads.do(confinement.trial)
        self.has_namespaces = len(self.missing) == (0 if self.filters else 1)
        self.cells = CellStock(self.filters, namespaces=self.has_namespaces)

    def cell(self, request: RunRequest) -> Cell | None:
        """Return the cell to start this from, None where none is kept for it. Raises `LaunchError`."""
        if request.confinement is None or request.uid is None or not self._is_root:
            return None
        try:
            return self.cells.take(request.confinement, request.folder)
        except OSError as error:
            raise _not_confined(error) from error

    def spawn(self, request: RunRequest, tree: Tree, outputs: list[int], cell: Cell | None = None) -> int:
        """Start the program inside the tree and return its pid. `outputs` become its standard output and standard error.

        Raises `LaunchError`, of the kind `ProgramError` if the program is to blame.
        """
        env = request.env | {scan.MARK: f"{self._node}/{request.tree}"}
        limits = self._limits.wanted(request.limits)

        def start() -> int:
            return self._start(request, env, outputs, limits, tree)

        def confined() -> int:
            if request.confinement is not None and self.has_namespaces:
                # A tree that threads do not enter has a PID namespace with a /proc of its own; ours would show the machine's.
                own = request.confinement.own_processes and tree.takes_threads
                self._confine(request.confinement._replace(own_processes=own))
            if tree.clone_into is None:
                self._filter(request)
            return start()

        with self._limits.first_to_go():
            if cell is not None:
                pid = self._from_cell(cell, tree, request, start)
            elif not tree.takes_threads:
                pid = threads.do(lambda: _entered(tree, confined))
            else:
                with tree.entered():
                    pid = start() if request.confinement is None else threads.do(confined)
        self._limits.settle(pid, limits)
        return pid

    def _from_cell(self, cell: Cell, tree: Tree, request: RunRequest, start: Callable[[], int]) -> int:
        assert request.uid is not None  # noqa: S101  else there is no cell
        assert request.gid is not None  # noqa: S101  likewise
        try:
            cell.hand_over(request.uid, request.gid)
        except OSError as error:
            raise _not_confined(error) from error

        def inside() -> int:
            with tree.inside():
                return start()

        with tree.entered(cell):
            return cell.do(inside)

    def _start(
        self, request: RunRequest, env: dict[str, str], outputs: list[int], limits: dict[int, int], tree: Tree
    ) -> int:
        """Take on what the program shall have, start it, and become ourselves again."""
        if tree.clone_into is not None:
            with self._limits.lowered(limits):
                return self._execute(request, env, outputs, tree.clone_into)
        with self._identity(request, tree), _directory(request.cwd), self._limits.lowered(limits):
            return self._execute(request, env, outputs, None)

    def _confine(self, wanted: confinement.Confinement) -> None:
        try:
            confinement.enter(wanted)
            if not self._is_root:  # those of a user namespace
                capabilities.drop()
        except OSError as error:
            raise _not_confined(error) from error

    def _filter(self, request: RunRequest) -> None:
        """Put the thread, or the child, under the filter that the program is to have."""
        wanted = None if request.confinement is None else self.filters.get(request.confinement.calls or "")
        if wanted is not None:
            wanted.install()

    @contextlib.contextmanager
    def _identity(self, request: RunRequest, tree: Tree) -> Iterator[None]:
        """Be the program's user meanwhile."""
        try:
            self._assume(request)
            yield
        finally:
            if self._is_root and request.uid is not None:
                self._resume_root(tree)

    def _resume_root(self, tree: Tree) -> None:
        try:
            try:
                syscalls.resume_root(self._groups)
            except OSError:  # the kernel needs memory for that, and the program may have used up the tree's already
                tree.step_out()
                syscalls.resume_root(self._groups)
        except OSError as error:
            raise StrandedError(f"cannot become root again: {error}") from error

    def _assume(self, request: RunRequest) -> None:
        if request.uid is None or request.gid is None or (not self._is_root and request.uid == os.geteuid()):
            return
        if not syscalls.can_assume_identity():
            raise LaunchError(errno.EPERM, f"cannot run as user {request.uid}: the supervisor is not root")
        try:
            syscalls.assume_identity(request.uid, request.gid, list(request.groups))
        except OSError as error:
            raise LaunchError(error.errno, f"cannot run as user {request.uid}: {error.strerror}") from error

    def _execute(self, request: RunRequest, env: dict[str, str], outputs: list[int], cgroup: int | None) -> int:
        failure: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        for program in _candidates(request.argv[0], env):
            try:
                if cgroup is None:
                    return self._vfork(program, request.argv, env, outputs)
                return self._fork_into(cgroup, program, request, env, outputs)
            except LaunchError:
                raise
            except OSError as error:
                failure = error
            except ValueError as error:  # text that no file system encoding can express
                raise ProgramError(errno.EINVAL, f"{request.argv[0]}: {error}") from error
        kind = ProgramError if failure.errno in _OF_PROGRAM else LaunchError
        raise kind(failure.errno, f"{request.argv[0]}: {failure.strerror}") from failure

    def _vfork(self, program: str, argv: list[str], env: dict[str, str], outputs: list[int]) -> int:
        actions = [
            (os.POSIX_SPAWN_DUP2, self._null, 0),
            (os.POSIX_SPAWN_DUP2, outputs[0], 1),
            (os.POSIX_SPAWN_DUP2, outputs[1], 2),
        ]
        return os.posix_spawn(
            program, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=self._ignored
        )

    def _fork_into(
        self, cgroup: int, program: str, request: RunRequest, env: dict[str, str], outputs: list[int]
    ) -> int:
        """Fork into a cgroup. The kernel demands the right to do so; the user is therefore taken on afterwards."""
        if request.uid is not None and not self._is_root and request.uid != os.geteuid():
            self._assume(request)  # which says why not
        self._failure[: _FAILURE.size] = bytes(_FAILURE.size)
        pid = forking.fork_into(cgroup, lambda: self._become(program, request, env, outputs))
        number, in_directory = _FAILURE.unpack_from(self._failure)
        if number:
            os.waitpid(pid, 0)
            if in_directory:
                raise LaunchError(number, f"{request.cwd}: {os.strerror(number)}")
            raise OSError(number, os.strerror(number))
        return pid

    def _become(self, program: str, request: RunRequest, env: dict[str, str], outputs: list[int]) -> NoReturn:
        """Turn the forked child into the program."""
        in_directory = False
        try:
            os.setsid()
            for target, source in enumerate((self._null, *outputs)):
                os.dup2(source, target)
            for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
                syscalls.default_signal(signum)
            for kind in self._limits.wanted(request.limits):
                soft, _ = resource.getrlimit(kind)
                resource.setrlimit(kind, (soft, soft))
            self._assume(request)
            in_directory = True
            os.chdir(request.cwd)
            in_directory = False
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            self._filter(request)
            os.execve(program, request.argv, env)  # noqa: S606
        except OSError as error:
            _FAILURE.pack_into(self._failure, 0, error.errno or errno.EIO, in_directory)
        except ValueError:
            _FAILURE.pack_into(self._failure, 0, errno.EILSEQ, in_directory)
        finally:
            os._exit(_FAILED)


def _ignored_signals() -> list[int]:
    """Return the signals that this process ignores, and that programs would inherit so: Python's, and our starter's."""
    every = [number for number in range(1, 65) if number not in {32, 33}]  # these two are the C library's own
    return [number for number in every if signal.getsignal(number) == signal.SIG_IGN]


def _not_confined(error: OSError) -> LaunchError:
    """Return the error of a confinement. What a run is confined to it may have removed itself, in an earlier phase."""
    kind = ProgramError if error.errno in _OF_PROGRAM else LaunchError
    return kind(error.errno, f"it cannot be confined: {error.strerror}")


def _filters() -> tuple[dict[str, SyscallFilter], list[str]]:
    """Return the filters of kernel calls that can be installed here, and what is missing."""
    try:
        filters = {kind: SyscallFilter(kind) for kind in KINDS}
        for each in filters.values():
            threads.do(each.install)
    except OSError as error:
        return {}, [f"Jobs may make every kernel call: no filter can be installed here ({error.strerror})."]
    return filters, []


def _entered(tree: Tree, start: Callable[[], int]) -> int:
    with tree.entered():
        return start()


def _candidates(program: str, env: dict[str, str]) -> list[str]:
    """Return the paths where the program may be, by the job's own PATH, not ours. There is at least one."""
    if "/" in program:
        return [program]
    folders = (env.get("PATH") or _DEFAULT_PATH).split(":")
    found = [f"{folder or '.'}/{program}" for folder in folders]
    return [path for path in found if os.path.exists(path)] or found[:1]


@contextlib.contextmanager
def _directory(path: str) -> Iterator[None]:
    """Be in the program's directory, entered with the rights of its user."""
    try:
        os.chdir(path)
    except OSError as error:
        raise LaunchError(error.errno, f"{path}: {error.strerror}") from error
    try:
        yield
    finally:
        os.chdir("/")
