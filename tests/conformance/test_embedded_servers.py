"""What is promised of the embedded servers, tried on the servers themselves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from api.up.embedded import external, postgres, processes, restarter, state
from api.up.embedded import servers as server_set
from api.up.embedded.restarter import RestartedProcess
from api.up.embedded.servers import Server, ServerSet
from api.up.embedded.stop_signals import StopSignalReceived, StopSignals
from scheduler.errors import SetupError
from scheduler.servers import broker_client
from tests.support.servers import connect, state_folder

# One that is not a server any more: ended, and not collected by its parent.
ZOMBIE = "import os; pid = os.fork() or os._exit(0); os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT); print(pid, flush=True); input()"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with state_folder() as path:
        yield path


@pytest.fixture
def running(root: Path) -> Iterator[ServerSet]:
    """Both servers with the very settings of production, on a folder that the tests of this file share."""
    servers = server_set.prepare(state.prepare(root))
    servers.start()
    yield servers
    servers.stop()


def test_they_listen_on_private_sockets_only(running: ServerSet) -> None:
    for server in running.servers:
        pid = server.process.pid
        assert pid is not None
        inodes = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        for table in ("tcp", "tcp6"):
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            assert not {f"socket:[{line.split()[9]}]" for line in lines} & inodes
    assert stat.S_IMODE(running.folder.socket_folder().stat().st_mode) == 0o700


def test_they_run_as_somebody_who_is_not_root(running: ServerSet) -> None:
    for server in running.servers:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        expected = running.folder.account.uid if running.folder.account else os.geteuid()
        assert set(uids) == {str(expected)}
        assert "0" not in uids


def test_a_wrong_password_is_refused(running: ServerSet) -> None:
    password = running.folder.secret("postgres-password")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.database_url.replace(password, "wrong"))
    password = running.folder.secret("valkey-password")
    with pytest.raises(SetupError, match="cannot be reached .*password"):
        external.check_broker(running.broker_url.replace(password, "wrong"))


def test_passwords_are_not_on_any_command_line(running: ServerSet) -> None:
    for server in running.servers:
        line = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode()
        assert running.folder.secret(f"{server.process.spec.name}-password") not in line


def test_what_was_committed_survives_a_restart_and_a_kill(running: ServerSet) -> None:
    client = broker_client.connect(running.broker_url)
    with connect(running.database_url) as db:
        db.execute("CREATE TABLE kept (n int)")
        db.execute("INSERT INTO kept VALUES (1)")
        assert db.execute("SHOW fsync").fetchone() == ("on",)
    client.set("kept", "1")
    running.stop()
    running.start()
    with connect(running.database_url) as db:
        db.execute("INSERT INTO kept VALUES (2)")
    for server in running.servers:
        os.kill(server.process.pid or 0, signal.SIGKILL)
        while server.process.ended() is None:
            os.sched_yield()
    running.start()
    with connect(running.database_url) as db:
        assert db.execute("SELECT sum(n) FROM kept").fetchone() == (3,)
        db.execute("DROP TABLE kept")
    assert broker_client.connect(running.broker_url).get("kept") == b"1"


def test_a_killed_server_is_noticed_and_started_again(running: ServerSet) -> None:
    told: list[str] = []
    with StopSignals() as signals:
        restarted = [
            RestartedProcess(server.process.spec.name, server.process, server.launch) for server in running.servers
        ]
        for server in running.servers:
            before = server.process.pid or 0
            os.kill(before, signal.SIGKILL)
            _keep_until(partial(_another, server, before), restarted, signals, told.append)
    assert [line.partition(";")[0] for line in told] == [
        "postgres was killed by SIGKILL",
        "valkey was killed by SIGKILL",
    ]
    assert all(server.answers() for server in running.servers)


def test_a_zombie_is_not_taken_for_a_running_server(root: Path, running: ServerSet) -> None:
    running.stop()
    holder = subprocess.Popen([sys.executable, "-c", ZOMBIE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        _pretend(running, int(holder.stdout.readline()))
        running.start()
    finally:
        holder.communicate("")


def test_another_process_that_got_the_id_since_is_left_alone(running: ServerSet) -> None:
    running.stop()
    with subprocess.Popen(["sleep", "1000"]) as bystander:
        _pretend(running, bystander.pid)
        running.start()
        assert bystander.poll() is None
        bystander.kill()


def test_what_a_killed_launcher_left_behind_is_taken_over(running: ServerSet) -> None:
    """As if the launcher had died and its servers had not noticed: they run, and nobody has them as children."""
    old = [processes.identify(server.process.pid or 0) for server in running.servers]
    again = server_set.prepare(running.folder)
    assert not any(who.running() for who in old if who)
    again.start()
    again.stop()


def test_data_of_another_version_are_left_alone(running: ServerSet, monkeypatch: pytest.MonkeyPatch) -> None:
    running.stop()
    version = running.folder.servers / "postgres" / "PG_VERSION"
    kept = version.read_text()
    monkeypatch.setenv("GANGER_HIDE_SYSTEM_SERVERS", "1")
    version.write_text("12\n")
    try:
        with pytest.raises(
            SetupError, match="written by PostgreSQL 12, but only PostgreSQL 18.* is here: apt-get install"
        ):
            server_set.prepare(running.folder)
    finally:
        version.write_text(kept)


def test_a_cluster_that_was_broken_off_in_the_making_is_made_anew() -> None:
    with state_folder() as root:
        folder = state.prepare(root)
        half = folder.servers / "postgres.new"
        half.mkdir(mode=0o700)
        (half / "PG_VERSION").write_text("18\n")
        server = postgres.prepare(folder)
        assert not half.exists()
        server.start()
        server.stop()


def test_a_lost_password_is_one_clear_line(running: ServerSet) -> None:
    running.stop()
    secret = running.folder.secrets / "postgres-password"
    kept = secret.read_text()
    secret.unlink()
    try:
        servers = server_set.prepare(running.folder)
        with pytest.raises(SetupError, match="refuses the password in the state folder"):
            servers.start()
        assert all(server.process.pid is None for server in servers.servers)
    finally:
        secret.write_text(kept)


def test_servers_of_ones_own_are_checked_and_used(running: ServerSet, monkeypatch: pytest.MonkeyPatch) -> None:
    with state_folder() as root:
        used = server_set.prepare(state.prepare(root), database_url=running.database_url, broker_url=running.broker_url)
        assert used.servers == ()
        assert used.database_url == running.database_url
    monkeypatch.setattr(external, "POSTGRES_MINIMUM", (99,))
    monkeypatch.setattr(external, "BROKER_MINIMUM", (99,))
    with pytest.raises(SetupError, match=r"is PostgreSQL 18.*needs 99 or newer"):
        external.check_database(running.database_url)
    with pytest.raises(SetupError, match=r"is Redis [0-9.]+; Ganger needs"):
        external.check_broker(running.broker_url)


def _another(server: Server, before: int) -> bool:
    return server.process.pid not in {None, before} and server.answers()


def _pretend(servers: ServerSet, pid: int) -> None:
    """Leave the pid file of a server that was killed, with an id that somebody else has."""
    pid_file = servers.folder.servers / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{pid}\n{pid_file.parent}\n")


def _keep_until(
    done: Callable[[], bool], restarted: list[RestartedProcess], signals: StopSignals, tell: Callable[[str], None]
) -> None:
    """Run the restarter's own steps, from one event to the next, until `done` says so."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        for each in restarted:
            each.step(time.monotonic(), tell)
        restarter.do_housekeeping(restarted)
        try:
            signals.pause_until_event(0.02)  # the end of a server wakes it earlier
        except StopSignalReceived as stopped:
            pytest.fail(f"stopped by {stopped}")
