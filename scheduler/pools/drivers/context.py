"""The driver context: what the installation gives its drivers (addresses, a folder for their records, node tokens)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scheduler.pools.drivers.driver import DriverTrouble


@dataclass(frozen=True, slots=True)
class DriverContext:
    """The parts of the installation that a driver may use.

    `token_for(name)` returns the file with a node's token and makes the token if there is none. `drop_token(name)` revokes
    the token and removes the file. `taken()` returns the names of all nodes that exist.
    """

    api_url: str | None
    broker_url: str | None = field(repr=False)
    state_dir: Path | None
    token_for: Callable[[str], Path]
    drop_token: Callable[[str], None]
    taken: Callable[[], set[str]]

    def need_api(self) -> str:
        """Return the API's address as nodes reach it. Raises DriverTrouble where it is not set."""
        if self.api_url is None:
            raise DriverTrouble("GANGER_API_URL is not set for the scheduler: new nodes must be told where the API is")
        return self.api_url

    def need_folder(self) -> Path:
        """Return the scheduler's own folder. Raises DriverTrouble where there is none."""
        if self.state_dir is None:
            raise DriverTrouble(
                "GANGER_STATE_DIR is not set for the scheduler: it must remember which nodes it started"
            )
        return self.state_dir
