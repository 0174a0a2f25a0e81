"""`ganger up`: servers and roles on one machine, kept alive until Ctrl-C, which leaves nothing running.

The roles are started as the same commands that run them on a cluster; embedded differs in who starts them.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from api.up import plain_http, roles, shutdown
from api.up.embedded import child_process, restarter, state
from api.up.embedded import servers as server_set
from api.up.embedded.child_process import ChildProcess
from api.up.embedded.restarter import RestartedProcess
from api.up.embedded.servers import ServerSet
from api.up.embedded.state import StateFolder
from api.up.embedded.stop_signals import StopSignalReceived, StopSignals
from api.up.roles import Address, NodeSize, RoleContext
from scheduler import keyring
from scheduler.admin import tokens
from scheduler.admin.tokens import JoinTokenLimits
from scheduler.errors import SetupError
from scheduler.servers import database_address
from scheduler.settings import read_settings
from scheduler.store.schema import migrations

EXIT_SETUP = 2
# The roles are four Python processes that import some hundred modules each, on a machine that may be busy.
READY_WITHIN_S = 90.0
READY_POLL_S = 0.05
LINK_LASTS_S = 600
"""The link that is printed at the start: time to find the browser in."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of the command. Port 0 takes a free one; sizes are per node."""

    state_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8470
    nodes: int = 1
    size: NodeSize = field(default_factory=NodeSize)
    json: bool = False


@dataclass(frozen=True, slots=True)
class ReadyReport:
    """The facts that a user needs once everything runs."""

    url: str
    state_dir: Path
    token_file: Path
    database: str
    broker: str
    nodes: Sequence[str]
    seconds: float


def up(options: UpOptions) -> int:
    """Run everything in the foreground and return the exit code; what is said goes to stderr, JSON to stdout.

    0 after an orderly stop, 2 where it cannot start (one line says why), 128 + signal if stopped before it was ready.
    """
    try:
        with StopSignals() as signals:
            return _run(options, signals)
    except SetupError as trouble:
        _report(str(trouble))
    except OSError as error:  # the disk filled up, the folder was taken away
        _report(f"cannot go on: {error.strerror or error}" + (f" ({error.filename})" if error.filename else ""))
    return EXIT_SETUP


def _run(options: UpOptions, signals: StopSignals) -> int:
    """Start everything, keep it alive, and end it: in order, whatever happens in between."""
    began = time.monotonic()
    state.refuse_second(options.state_dir)  # whoever runs here has the port too, which would explain nothing
    address = Address(options.host, _free_port(options.host, options.port))
    if plain_http.is_readable_on_the_way(options.host, read_settings().proxies):
        _report(f"warning: {plain_http.WARNING}")
    folder = state.prepare(options.state_dir)
    with state.locked(folder):
        running: list[RestartedProcess] = []
        servers: ServerSet | None = None
        was_ready = False
        try:
            _end_leftovers(folder, signals)
            servers = _start_servers(folder, signals)
            context, token_file, names = _set_up(folder, servers, address, options)
            _start_roles(running, context, names, options)
            running += [
                RestartedProcess(server.process.spec.name, server.process, server.launch) for server in servers.servers
            ]
            _await_ready(running, address, signals)
            was_ready = True
            state.write_private(folder.root / state.ADDRESS, address.url)
            _announce(_ready(context, servers, token_file, names, began), as_json=options.json)
            restarter.run(running, signals, _report)
        except StopSignalReceived as stopped:
            _report("stopping")
            return 0 if was_ready else 128 + stopped.signal
        finally:
            (folder.root / state.ADDRESS).unlink(missing_ok=True)
            shutdown.end_all(folder, [each.process for each in running], servers)
    return 0


def _start_servers(folder: StateFolder, signals: StopSignals) -> ServerSet:
    settings = read_settings()
    _report(f"starting the servers in {folder.root}")
    servers = server_set.prepare(
        folder,
        database_url=settings.database_url.get_secret_value() if settings.database_url else None,
        broker_url=settings.broker_url.get_secret_value() if settings.broker_url else None,
        pause=signals.pause,
    )
    servers.start(signals.pause)
    return servers


def _set_up(
    folder: StateFolder, servers: ServerSet, address: Address, options: UpOptions
) -> tuple[RoleContext, Path, list[str]]:
    """Bring the schema up to date and see that the tokens exist which the roles and the user need."""
    try:
        migrations.upgrade(database_address.read(servers.database_url))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise SetupError(f"the database's schema cannot be brought up to date: {reason}") from error
    keyring.ensure(folder.root / state.SECRETS_KEY)
    admin = folder.tokens / "admin"
    tokens.ensure(servers.database_url, kind="user", role="admin", project=None, name="admin", path=admin)
    names = roles.node_names(options.nodes)
    for name in names:
        path = _node_token(folder, name)
        join = JoinTokenLimits(nodes=[name])
        tokens.ensure(servers.database_url, kind="node", role=None, project=None, name=name, path=path, join=join)
    for_nodes = servers.node_broker_url if read_settings().broker_users else servers.broker_url
    return RoleContext(folder, servers.database_url, servers.broker_url, for_nodes, address), admin, names


def _start_roles(
    running: list[RestartedProcess], context: RoleContext, names: Sequence[str], options: UpOptions
) -> None:
    """Start the roles and add them to `running`, each as soon as it is started."""
    size = roles.share(options.size, len(names), context.folder.root)
    nodes = [roles.worker(context, name, size, _node_token(context.folder, name)) for name in names]
    for spec in [*nodes, roles.scheduler(context), roles.api(context)]:
        process = ChildProcess(spec)
        process.start()
        running.append(RestartedProcess(spec.name, process, process.start, may_leave=spec in nodes))


def _await_ready(running: Sequence[RestartedProcess], address: Address, signals: StopSignals) -> None:
    """Return when the API says it is ready. Raises SetupError if something ends before, with its last words."""
    _report("starting API, scheduler and worker")
    deadline = time.monotonic() + READY_WITHIN_S
    while not _answers(f"{address.url}/health/ready"):
        for each in running:
            code = each.process.ended()
            if code is not None:
                message = f"{each.title} {restarter.how_it_ended(code)}: {each.process.last_error_line()}"
                raise SetupError(f"{message} (see {each.process.spec.log})")
        if time.monotonic() > deadline:
            raise SetupError(
                f"the API is not ready after {READY_WITHIN_S:.0f} s (see {running[0].process.spec.log.parent})"
            )
        signals.pause(READY_POLL_S)


def _end_leftovers(folder: StateFolder, signals: StopSignals) -> None:
    """End what a killed predecessor recorded here and left running; supervisors stay, their agents take them over."""
    for record in sorted(folder.pids.iterdir()):
        if record.name not in {"postgres", "valkey"} and not record.name.startswith("."):
            child_process.end_recorded(record, signal.SIGTERM, roles.STOP_WITHIN_S, signals.pause)


def _answers(url: str) -> bool:
    with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - ours
        return bool(answer.status == 200)  # noqa: PLR2004 - "OK"
    return False


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Raises SetupError if another program listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = (
                f"the API cannot listen on {host} port {port}: {error.strerror}; "
                "choose another with --port (0 takes a free one)"
            )
            raise SetupError(message) from error
        return int(probe.getsockname()[1])


def _node_token(folder: StateFolder, name: str) -> Path:
    return folder.tokens / f"node-{name}"


def _ready(
    context: RoleContext, servers: ServerSet, token_file: Path, names: Sequence[str], began: float
) -> ReadyReport:
    sources = {server.process.spec.name: server.source for server in servers.servers}
    return ReadyReport(
        url=context.address.url,
        state_dir=context.folder.root,
        token_file=token_file,
        database=sources.get("postgres", "external"),
        broker=sources.get("valkey", "external"),
        nodes=names,
        seconds=round(time.monotonic() - began, 2),
    )


def _announce(ready: ReadyReport, *, as_json: bool) -> None:
    if as_json:
        facts = {name: getattr(ready, name) for name in ReadyReport.__slots__}
        print(json.dumps({"event": "ready", **facts}, default=str), flush=True)  # noqa: T201 - what --json promises
        return
    _report(f"ready in {ready.seconds} s: {ready.url}")
    elsewhere = (
        "" if ready.state_dir == state.default_root() else f"GANGER_STATE_DIR={shlex.quote(str(ready.state_dir))} "
    )
    lines = [
        "",
        f"  API       {ready.url}",
        f"  page      {_page(ready)}",
        f"            signs this person in, once, within {LINK_LASTS_S // 60} minutes; `ganger ui` makes a new link",
        f"  calls     {ready.url}/docs/  every call of the API, with examples",
        f"  token     in {ready.token_file}",
        f"  nodes     {', '.join(ready.nodes)}",
        f"  servers   {ready.database}, {ready.broker}",
        f"  state     {ready.state_dir}",
        "",
        f"  first job, in another terminal:  {elsewhere}{_command()} submit --follow -- echo hello",
        "  Ctrl-C stops everything; the next start goes on where this one ended.",
        "",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal


def _page(ready: ReadyReport) -> str:
    """Return the address of the page with a one-time code in it, made with the token that everything has just begun with."""
    asked = urllib.request.Request(  # noqa: S310 - our own API
        f"{ready.url}/me/login-codes/",
        data=json.dumps({"valid_s": LINK_LASTS_S}).encode(),
        headers={
            "Authorization": f"Bearer {ready.token_file.read_text().strip()}",
            "Content-Type": "application/json",
        },
    )
    with suppress(OSError, urllib.error.URLError, ValueError), urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - likewise
        return str(json.load(answer)["url"])
    return f"{ready.url}/ui/"


def _command() -> str:
    """Return how this `ganger` is called in another terminal: by its path, unless it is installed for everybody."""
    ours = Path(sys.executable).parent / "ganger"
    found = shutil.which("ganger", path="/usr/local/bin:/usr/bin:/bin")
    if found is not None or not ours.exists():
        return "ganger"
    return shlex.quote(str(ours))


def _report(line: str) -> None:
    """Print one line for the person at the terminal; a closed terminal is no reason to end."""
    with suppress(OSError):
        print(f"ganger: {line}", file=sys.stderr, flush=True)  # noqa: T201 - likewise
