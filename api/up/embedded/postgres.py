"""An embedded PostgreSQL: made once, then started, watched and stopped on the same data.

It listens on a unix socket in a folder that only its account can enter, and asks for a generated password. A kill -9
of it is harmless: it is started again on the same data, after what the dead one left behind has been cleared away.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from api.up.embedded import account as accounts
from api.up.embedded import child_process, distribution, processes, providers, state
from api.up.embedded.child_process import ChildProcess, ChildSpec, Pause
from api.up.embedded.processes import ProcessIdentity
from api.up.embedded.state import StateFolder
from scheduler.errors import SetupError

USER = DATABASE = "ganger"
# Recovery after a crash replays at most max_wal_size; a slow disk needs its time.
READY_WITHIN_S = 120.0
INIT_WITHIN_S = 120.0
# A fast shutdown writes a checkpoint; after this long it is worth more to end it and let the next start recover.
STOP_WITHIN_S = 30.0
BUILTIN_LOCALE_SINCE = 17

# A queue of jobs: many short writes that must not be lost, rows that die young, a few hundred connections at most.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    # Compiling a plan takes longer than any statement of ours runs.
    "jit": "off",
    # The data are on flash or in memory: an index is nearly always worth it.
    "random_page_cost": "1.1",
    # A queue's rows are updated a few times within seconds: vacuum early and often, and not too politely.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    # A client that hangs within a transaction must not hold the queue's locks for good.
    "idle_in_transaction_session_timeout": "5min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_duration_statement": "2s",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """One server on one data folder. `url` is valid before the server runs."""

    process: ChildProcess
    data: Path
    url: str
    source: str

    def start(self, pause: Pause = time.sleep) -> None:
        """Start it and return when it takes connections. Raises SetupError with the server's own reason."""
        self.launch(pause)
        self.wait(pause)

    def launch(self, pause: Pause = time.sleep) -> None:
        """Start it without waiting; what a dead one left behind is cleared away first."""
        clear_remains(self.data, pause)
        self.process.start()

    def wait(self, pause: Pause = time.sleep) -> None:
        """Return once the server takes connections; its database is made if it is missing. Raises SetupError."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.answers():
            if self.process.ended() is not None:
                raise SetupError(
                    f"PostgreSQL did not start: {self.process.last_error_line()} (see {self.process.spec.log})"
                )
            if time.monotonic() > deadline:
                message = f"PostgreSQL is not ready after {READY_WITHIN_S:.0f} s (see {self.process.spec.log})"
                raise SetupError(message)
            pause(child_process.POLL_S)

    def answers(self) -> bool:
        """Tell whether it takes connections now. Raises SetupError if it refuses our password for good."""
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                message = f"PostgreSQL in {self.data} refuses the password in the state folder: bring back the old one"
                raise SetupError(message) from error
            return False
        return True

    def stop(self, pause: Pause = time.sleep) -> None:
        """Shut it down fast: open transactions are rolled back, all that was committed is kept."""
        self.process.stop(pause)


def prepare(folder: StateFolder, *, settings: Mapping[str, str] | None = None) -> PostgresServer:
    """Find the programs, make the data folder if there is none, and return the server, not yet started.

    `settings` overrule ours (tests do without fsync). Raises SetupError: no program, data of another version, full disk.
    """
    data = folder.servers / "postgres"
    provider = providers.postgres(_major_of(data))
    program = distribution.runnable(provider, folder)
    password = folder.secret("postgres-password")
    sockets = folder.socket_folder()
    if not (data / "PG_VERSION").exists():
        _make_cluster(program, provider.version[0], data, folder, password)
    _write_settings(data, sockets, folder, settings or {})
    spec = ChildSpec(
        name="postgres",
        argv=[program, "-D", data],
        log=folder.logs / "postgres.log",
        record=folder.pids / "postgres",
        environment={**_environment(), child_process.MARK: str(folder.root)},
        account=folder.account,
        folder=data,
        stop_signal=signal.SIGINT,
        stop_within_s=STOP_WITHIN_S,
        umask=0o077,
    )
    return PostgresServer(ChildProcess(spec), data, _url(password, sockets), provider.label)


def clear_remains(data: Path, pause: Pause = time.sleep) -> None:
    """End a server that still runs on `data` without us, and remove the pid file of one that does not.

    PostgreSQL itself takes any living process with that id for its predecessor: one that was given the id since, or a
    zombie.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    who = processes.identify(pid)
    if who is not None and _serves(who, data):
        child_process.end([who], signal.SIGINT, STOP_WITHIN_S, pause)
    pid_file.unlink(missing_ok=True)


def _serves(who: ProcessIdentity, data: Path) -> bool:
    try:
        return Path(f"/proc/{who.pid}/cwd").samefile(data)
    except OSError:
        return False


def _make_cluster(program: Path, major: int, data: Path, folder: StateFolder, password: str) -> None:
    """Run initdb under another name, so that one that was broken off never passes for a database."""
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    password_file = data.with_name("postgres.password")
    try:
        draft.mkdir(mode=0o700)
        accounts.give(draft, folder.account)
        state.write_private(password_file, password, folder.account)
        _initdb(program, major, draft, password_file, folder)
        with (draft / "postgresql.conf").open("a") as file:
            file.write("\n# ganger.conf is written anew at every start; what you add below wins over it.\n")
            file.write("include 'ganger.conf'\n")
        state.write_private(draft / "ganger.conf", "", folder.account)
        _make_database(program, draft, folder)
        draft.replace(data)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        password_file.unlink(missing_ok=True)


def _initdb(program: Path, major: int, data: Path, password_file: Path, folder: StateFolder) -> None:
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= BUILTIN_LOCALE_SINCE else []
    _run(
        [
            program.with_name("initdb"),
            f"--pgdata={data}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-instructions",
            *locale,
        ],
        "",
        folder,
    )


def _make_database(program: Path, data: Path, folder: StateFolder) -> None:
    """Make our database before the server is ever reachable, in the server's single-user mode."""
    _run([program, "--single", "-D", data, "postgres"], f"CREATE DATABASE {DATABASE}\n", folder)


def _run(argv: list[str | Path], text: str, folder: StateFolder) -> None:
    account = folder.account
    try:
        done = subprocess.run(
            [os.fspath(part) for part in argv],
            input=text,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd=folder.servers,
            timeout=INIT_WITHIN_S,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{Path(argv[0]).name} has not ended within {INIT_WITHIN_S:.0f} s") from error
    if done.returncode != 0:
        (folder.logs / "initdb.log").write_text(done.stdout + done.stderr)
        reason = child_process.last_error_line_of(folder.logs / "initdb.log")
        raise SetupError(f"the database cannot be made in {folder.servers}: {reason}")


def _write_settings(data: Path, sockets: Path, folder: StateFolder, overrules: Mapping[str, str]) -> None:
    settings = {**SETTINGS, "unix_socket_directories": str(sockets), **overrules}
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    state.write_private(data / "ganger.conf", "\n".join(lines), folder.account)


def _major_of(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _url(password: str, sockets: Path) -> str:
    return f"postgresql://{USER}:{quote(password, safe='')}@/{DATABASE}?host={quote(str(sockets), safe='/')}"
