"""Which API a command talks to, and with which token: what the user says, else the `ganger up` of this machine.

`ganger up` keeps its address in `url` and an administrator's token in `tokens/admin` of its state folder (0600).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.errors import SetupError

if TYPE_CHECKING:
    from api.client import Client

# A person waits for the answer: one that is not there is reported soon.
PATIENCE_S = 2.0
# What is submitted should not be lost to a restart of the API.
SUBMIT_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """An API and who we are there."""

    url: str
    token: str | None


def client(url: str | None, token: str | None, state_dir: Path | None, *, patience_s: float = PATIENCE_S) -> Client:
    """Return a client for this command. Raises SetupError if nothing says where the API is."""
    from api.client import Client  # noqa: PLC0415 - commands that ask nothing start without an HTTP library

    target = find(url, token, state_dir)
    return Client(target.url, target.token, patience_s=patience_s)


def find(url: str | None, token: str | None, state_dir: Path | None) -> Target:
    """Return the API's address and the token. Raises SetupError that says what to do."""
    from api.up.embedded import state  # noqa: PLC0415 - likewise

    folder = state_dir or state.default_root()
    here = _read(folder / "url")
    if url is None and here is None:
        raise SetupError(_nowhere(folder))
    chosen = (url or here or "").rstrip("/")
    if "://" not in chosen:
        chosen = f"http://{chosen}"
    if token is None and (url is None or chosen == here):
        token = _read(folder / "tokens" / "admin")
    return Target(chosen, token)


def _read(path: Path) -> str | None:
    """Return the text of a file, None if there is none; raises SetupError if it may not be read."""
    try:
        return path.read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SetupError(f"{path} cannot be read ({error.strerror}); use --url and --token instead") from error


def _nowhere(folder: Path) -> str:
    return (
        f"no API is known: `ganger up` is not running on {folder}. "
        "Start it, or say where the API is: --url or GANGER_API_URL (and --token or GANGER_TOKEN)"
    )
