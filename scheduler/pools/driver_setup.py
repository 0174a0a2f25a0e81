"""Sets the drivers up: builds their registry from the settings, with tokens for the nodes that drivers start."""

from __future__ import annotations

from pathlib import Path

from scheduler.admin import tokens
from scheduler.admin.tokens import JoinTokenLimits
from scheduler.errors import SetupError
from scheduler.pools.drivers.context import DriverContext
from scheduler.pools.drivers.driver import DriverTrouble
from scheduler.pools.drivers.registry import DriverRegistry, read
from scheduler.runtime import Runtime
from scheduler.store import address_words
from scheduler.store.admin import tokens as store
from scheduler.store.nodes import pools


def registry_from_settings(rt: Runtime) -> DriverRegistry:
    """Return the drivers that pools may name. Raises SetupError for a wrong drivers file."""
    settings = rt.settings
    broker_url = settings.node_broker_url or settings.broker_url
    context = DriverContext(
        settings.api_url,
        None if broker_url is None else broker_url.get_secret_value(),
        settings.state_dir,
        lambda name: _token_for(rt, name),
        lambda name: _drop_token(rt, name),
        lambda: _names_taken(rt),
    )
    return DriverRegistry(context, read(settings.drivers_file))


def _token_for(rt: Runtime, name: str) -> Path:
    path = _token_file(rt, name)
    try:
        tokens.ensure(
            address_words.words(rt.db.url),
            kind="node",
            role=None,
            project=None,
            name=name,
            path=path,
            join=JoinTokenLimits(nodes=[name]),
        )
    except SetupError as error:
        raise DriverTrouble(str(error)) from error
    return path


def _drop_token(rt: Runtime, name: str) -> None:
    path = _token_file(rt, name)
    try:
        secret = path.read_text().strip()
    except FileNotFoundError:
        return
    with rt.db.begin() as tx:
        store.revoke_digest(tx, tokens.digest(secret))
    path.unlink(missing_ok=True)


def _token_file(rt: Runtime, name: str) -> Path:
    if rt.settings.state_dir is None:
        raise DriverTrouble(
            "GANGER_STATE_DIR is not set for the scheduler: it must keep the tokens of nodes that it starts"
        )
    return rt.settings.state_dir / "tokens" / f"node-{name}"


def _names_taken(rt: Runtime) -> set[str]:
    with rt.db.begin() as tx:
        return pools.names_taken(tx)
