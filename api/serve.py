"""The composition root: one function per role, and the only file that sees scheduler, workers and api together.

Every environment variable is read here (by `Settings`). Every clock, source of chance and connection is made here and handed down.
Each function runs until SIGTERM or SIGINT and returns the exit status of its process.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from scheduler.errors import SetupError
from scheduler.rules.cluster.resources import thousandths
from scheduler.servers import addresses
from scheduler.settings import Settings, read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from scheduler.runtime import Runtime


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of a node on the command line; amounts in whole units (cpus, MiB), None is all that the machine has."""

    name: str | None = None
    pool: str = "default"
    cpus: float | None = None
    mem: float | None = None
    disk: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    api_url: str | None = None
    broker_url: str | None = None
    token_file: Path | None = None
    node_dir: Path | None = None
    job_user: str | None = None
    tree: str | None = None
    interpreters: Sequence[str] = ()
    projects: Sequence[str] = ()
    shared_folders: Sequence[str] = ()
    pip_variables: Sequence[str] = ()
    leave_running: bool = False


def run_api(host: str | None = None, port: int | None = None) -> int:
    """Answer HTTP at this address (default: GANGER_HOST and GANGER_PORT) with several processes."""
    from api.http.serving import keyring_source, server, unprivileged  # noqa: PLC0415 - the other roles need no web server, and get no keys
    from api.up import plain_http  # noqa: PLC0415 - likewise
    from api.up.embedded import state  # noqa: PLC0415 - likewise
    from scheduler import log, runtime  # noqa: PLC0415 - nodes have a log of their own
    from scheduler.admin import seed  # noqa: PLC0415 - likewise
    from scheduler.events import API_PLAIN_HTTP  # noqa: PLC0415 - likewise
    from scheduler.servers import database_wait  # noqa: PLC0415 - likewise
    from scheduler.store.schema import migrations  # noqa: PLC0415 - likewise
    from workers.block_models import packed  # noqa: PLC0415 - likewise

    os.umask(0o077)  # what it writes is for itself, and for those that it answers
    settings = read_settings()
    log.configure("api")
    account = unprivileged.account_for(settings)
    home = (settings.state_dir or state.default_root()).resolve()
    own = (home / "files", home / "workspaces")
    settings = settings.model_copy(update={"workspace_roots": (*settings.workspace_roots, *own)})
    where = (host or settings.host, settings.port if port is None else port)
    if plain_http.is_readable_on_the_way(where[0], settings.proxies):
        log.log.warning(API_PLAIN_HTTP, host=where[0], why=plain_http.WARNING)
    keyring = keyring_source.given(settings)
    engine = runtime.connect(database_url(), settings, pool_size=1, name="ganger-api-start")

    def prepare() -> None:
        keyring_source.seal(settings, database_url(), keyring)
        seed.seed(engine, files_dir=own[0], block_models=packed.program())

    if not database_wait.prepare_when_ready(prepare):
        return 0
    engine.dispose()  # no connection is shared with the processes that are forked now
    unprivileged.prepare_folders(own, account)
    migrations.head()  # read while the way to its folder is open
    return server.serve(
        where,
        settings,
        account,
        lambda: replace(api_runtime(settings), keyring=keyring),
    )


def run_scheduler() -> int:
    """Run one scheduler; several may run at once, one of them leads."""
    from scheduler import log  # noqa: PLC0415 - nodes have a log of their own
    from scheduler.leader import leadership  # noqa: PLC0415 - likewise
    from scheduler.leader.dispatch import Dispatcher  # noqa: PLC0415 - nobody else publishes
    from scheduler.leader.process import SchedulerProcess  # noqa: PLC0415 - numpy is only needed here
    from scheduler.nodes.broker_users import BrokerUsers  # noqa: PLC0415 - likewise
    from scheduler.servers import database_wait  # noqa: PLC0415 - likewise

    settings = read_settings()
    log.configure("scheduler")
    broker_url = _given(settings.broker_url, "GANGER_BROKER_URL")
    rt = replace(make_runtime(settings, "scheduler"), keeps_plans=_keyed(settings, "scheduler", 3))
    if not database_wait.prepare_when_ready(lambda: leadership.check_schema(rt)):
        return 0
    dispatcher = Dispatcher(broker_url)
    service = SchedulerProcess(rt, dispatcher, broker_users=BrokerUsers(broker_url) if settings.broker_users else None)
    service.start()
    wait_for_signal()
    service.stop()
    dispatcher.stop()
    return 0


def run_worker(options: WorkerOptions) -> int:
    """Run one node: its agent, which starts consumer and supervisor."""
    from api.up.embedded import state  # noqa: PLC0415
    from workers.agent import main  # noqa: PLC0415 - the other roles run nothing
    from workers.link import credential  # noqa: PLC0415 - likewise
    from workers.settings import JOB_USER, NodeSettings  # noqa: PLC0415

    settings = read_settings()
    name = options.name or socket.gethostname()
    node_dir = options.node_dir or (settings.state_dir or state.default_root()) / "nodes" / name
    broker = options.broker_url or (settings.broker_url.get_secret_value() if settings.broker_url else None)
    return main.run(
        NodeSettings(
            name=name,
            api_url=_api_address(options.api_url) or settings.api_url or f"http://{settings.host}:{settings.port}",
            token=_node_token(options.token_file, has_credential=credential.is_kept(node_dir)),
            node_dir=node_dir,
            pool=options.pool,
            broker_url=broker,
            tree=options.tree,
            cpus=_amount(options.cpus),
            mem=_amount(options.mem),
            disk=_amount(options.disk),
            custom={key: thousandths(value) for key, value in options.resources.items()},
            labels=dict(options.labels),
            on_stop="leave-running" if options.leave_running else "return",
            job_user=options.job_user or JOB_USER,
            hidden=_of_installation(settings, options.token_file),
            projects=tuple(options.projects or settings.node_projects or ()) or None,
            shared_folders=(*options.shared_folders, *settings.shared_folders),
            keep_disk=settings.node_kept_disk * 1000,
            syscall_filter=settings.syscall_filter,
            sample_s=settings.node_sample_s,
            interpreters=(*options.interpreters, *settings.interpreters),
            pip_variables=_named((*options.pip_variables, *settings.pip_variables)),
        )
    )


def make_runtime(settings: Settings, name: str, *, pool_size: int = 10, more: int | None = None) -> Runtime:
    """Return the runtime of one process of a role; its nudges go out through PostgreSQL."""
    from scheduler import runtime  # noqa: PLC0415 - half of a node's start would be the database it may not see
    from scheduler.store.leader.wake import Nudger  # noqa: PLC0415 - likewise

    url = _given(settings.database_url, "GANGER_DATABASE_URL")
    engine = runtime.connect(url, settings, pool_size=pool_size, more=more, name=f"ganger-{name}")
    nudger = Nudger(engine.url)
    return runtime.Runtime(engine, settings, runtime.utc_now, random.SystemRandom().random, nudger.nudge)


def api_runtime(settings: Settings) -> Runtime:
    """Return the runtime of one process that answers HTTP; it has sessions that keep their plans beside the others."""
    threads = settings.api_threads + settings.node_threads + settings.blob_threads
    keyed = _keyed(settings, "api", threads)
    return replace(make_runtime(settings, "api", pool_size=threads, more=10), keeps_plans=keyed)


def _keyed(settings: Settings, name: str, pool_size: int) -> Engine:
    """Return the sessions of a process that keep their plans."""
    from scheduler import runtime  # noqa: PLC0415 - half of a node's start would be the database it may not see

    url = _given(settings.database_url, "GANGER_DATABASE_URL")
    return runtime.connect(url, settings, pool_size=pool_size, name=f"ganger-{name}-keyed", keeps_plans=True)


def database_url() -> str:
    """Return where the database is. Raises SetupError when nothing says so."""
    return _given(read_settings().database_url, "GANGER_DATABASE_URL")


def wait_for_signal() -> None:
    """Return when this process is asked to end; a second signal ends it at once."""
    asked = threading.Event()
    ask: Callable[..., None] = lambda *_: asked.set()  # noqa: E731 - a handler is all it is
    previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    asked.wait()
    for number, handler in previous.items():
        signal.signal(number, handler)


def _given(value: SecretStr | None, variable: str) -> str:
    if value is None or not value.get_secret_value():
        raise SetupError(
            f"{variable} is not set; `ganger up` brings servers of its own, a role alone needs their address"
        )
    return value.get_secret_value()


def _api_address(given: str | None) -> str | None:
    try:
        return addresses.api(given) if given else None
    except ValueError as wrong:
        raise SetupError(f"the address of the API: {wrong}") from None


def _node_token(path: Path | None, *, has_credential: bool) -> str:
    """Return the join token; empty where the node has a credential of its own already. Raises SetupError."""
    if token := os.environ.get("GANGER_NODE_TOKEN"):
        return token
    path = (
        path or Path(os.environ["GANGER_NODE_TOKEN_FILE"]) if "GANGER_NODE_TOKEN_FILE" in os.environ or path else None
    )
    if path is None and has_credential:
        return ""
    if path is None:
        raise SetupError(
            "no join token: set GANGER_NODE_TOKEN_FILE, or make one with `ganger tokens create --node NAME`"
        )
    try:
        return path.read_text().strip()
    except OSError as trouble:
        if has_credential:
            return ""
        raise SetupError(f"the node token at {path} cannot be read: {trouble.strerror}") from None


def _of_installation(settings: Settings, token_file: Path | None) -> tuple[str, ...]:
    """Return what no job must see: the state of this installation, the tokens of its users, and that of this node."""
    from api.up.embedded import state  # noqa: PLC0415

    files = [token_file, os.environ.get("GANGER_NODE_TOKEN_FILE"), os.environ.get("GANGER_TOKEN_FILE")]
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    known = [settings.state_dir, state.default_root(), home / "ganger", *files]
    return tuple(str(Path(path).resolve()) for path in known if path)


def _named(names: Iterable[str]) -> dict[str, str]:
    """Return the variables of these names that this process has."""
    return {name: os.environ[name] for name in names if name in os.environ}


def _amount(value: float | None) -> int | None:
    return None if value is None else thousandths(value)
