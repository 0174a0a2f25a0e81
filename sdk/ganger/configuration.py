"""Where the API is and which token is sent to it: the first of these places that names an address.

1. the arguments
2. GANGER_URL, or GANGER_API_URL; a token in GANGER_TOKEN, or in the file that GANGER_TOKEN_FILE names
3. the state folder of `ganger up` that GANGER_STATE_DIR names
4. a profile of `~/.config/ganger/config.toml` (XDG_CONFIG_HOME moves it): GANGER_PROFILE, else the file's `profile`,
   else `default`
5. the state folder of the `ganger up` of this user

A stored token (of 3, 4 and 5) is sent only to the address that is stored with it. A token is never part of a message.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ganger.errors import NotConfigured

ADDRESS_FILE = "url"
"""In a state folder, while `ganger up` runs on it: the address of its API."""

LOCK_FILE = "lock"
"""In a state folder: the process of the `ganger up` that runs on it, or did last."""

NOT_READY = "not ready yet"
"""What is said of a `ganger up` that has begun to start, or to end."""

ADMIN_TOKEN_FILE = Path("tokens", "admin")
"""In a state folder: the token that commands on this machine send (mode 0600)."""

ROOT_STATE_DIR = Path("/var/lib/ganger")
_IN_A_TOKEN = re.compile(r"[!-~]")
_PROFILE_KEYS = frozenset({"url", "token", "token_file"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """The address of an API, and the token for it: None means that requests carry no token."""

    url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Stored:
    """An address that was read from a file. The token is read only when it is wanted."""

    url: str
    token: Callable[[], str | None]


def resolve(
    url: str | None = None, token: str | None = None, *, state_dir: Path | None = None, profile: str | None = None
) -> Configuration:
    """Return the address and the token to use. An empty token means that none is sent.

    `state_dir` and `profile` name one place to read; the environment is not asked for another one then. Raises
    NotConfigured if no place names an address, or if the file of a profile cannot be understood.
    """
    token = _token_of_environment() if token is None else checked_token(token, "the token that is given")
    url = url or (None if state_dir or profile else os.environ.get("GANGER_URL") or os.environ.get("GANGER_API_URL"))
    if url is not None:
        url = _normal(url)
        return Configuration(url, _token_for(url, state_dir, profile) if token is None else token or None)
    missed = [] if state_dir or profile else ["GANGER_URL is not set"]
    for read in _places(state_dir, profile):
        stored = read(missed)
        if stored is not None:
            return Configuration(stored.url, stored.token() if token is None else token or None)
    raise NotConfigured(
        f"no API is known: {', '.join(missed)}; say where the API is: Client(url, token), or GANGER_URL and GANGER_TOKEN",
        missed=missed,
    )


def checked_token(token: str, what: str) -> str:
    """Return a token without the blanks around it. Raises NotConfigured, which does not quote it, if it can be none.

    A line break in the middle, as two tokens in one file have, would else be refused far from here, and with the token in the message.
    """
    token = token.strip()
    wrong = next((character for character in token if not _IN_A_TOKEN.fullmatch(character)), None)
    if wrong is None:
        return token
    kind = "a line break" if wrong in "\r\n" else "a blank" if wrong.isspace() else "a character"
    raise NotConfigured(f"{what} holds {kind} that no token has; it is one word of ASCII letters, digits and signs")


def default_state_dir() -> Path:
    """Return the state folder that `ganger up` uses without --state-dir: /var/lib/ganger as root, else in the data folder."""
    if os.geteuid() == 0:
        return ROOT_STATE_DIR
    return _below("XDG_DATA_HOME", Path(".local", "share")) / "ganger"


def config_file() -> Path:
    """Return where the profiles are read from; the file need not exist."""
    return _below("XDG_CONFIG_HOME", Path(".config")) / "ganger" / "config.toml"


def _below(variable: str, fallback: Path) -> Path:
    """Return the folder that an XDG variable names; relative ones are ignored, as the XDG specification asks."""
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else _home() / fallback


def _home() -> Path:
    """Return the user's home. Raises NotConfigured for a user who has none, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        raise NotConfigured(
            "this user has no home folder to read the configuration from: set HOME, or --url and --token"
        ) from None


def _expanded(name: str, what: str) -> Path:
    """Return a path with its `~` written out. Raises NotConfigured if there is no such user."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise NotConfigured(f"{what} names {name}: there is no such user, or it has no home") from None


_Place = Callable[[list[str]], _Stored | None]
"""Returns what is stored in one place. If nothing is, it adds half a sentence that says what is missing, for the error."""


def _places(state_dir: Path | None, profile: str | None) -> list[_Place]:
    """Return the places that may hold an address, in the order in which they are read."""
    if state_dir is not None:
        return [lambda missed: _in_state_dir(state_dir, missed)]
    if profile is not None:
        return [lambda missed: _in_profile(profile, missed)]
    named = os.environ.get("GANGER_STATE_DIR")
    if named:
        return [lambda missed: _in_state_dir(Path(named), missed)]
    chosen = os.environ.get("GANGER_PROFILE") or None
    return [
        lambda missed: _in_profile(chosen, missed),
        lambda missed: _in_state_dir(default_state_dir(), missed),
    ]


def _token_for(url: str, state_dir: Path | None, profile: str | None) -> str | None:
    """Return the token that is stored with this very address; None if there is none."""
    for read in _places(state_dir, profile):
        stored = read([])
        if stored is not None and stored.url == url:
            return stored.token()
    return None


def _in_state_dir(folder: Path, missed: list[str]) -> _Stored | None:
    url = _read(folder / ADDRESS_FILE)
    if url is None:
        missed.append(f"`ganger up` is {NOT_READY if _is_running(folder) else 'not running'} on {folder}")
        return None
    return _Stored(_normal(url), lambda: _token_in(folder / ADMIN_TOKEN_FILE))


def _is_running(folder: Path) -> bool:
    """Return whether a `ganger up` is at work on a folder; it says where its API is only once that answers."""
    try:
        holder = int((folder / LOCK_FILE).read_text(encoding="ascii"))
        words = Path("/proc", str(holder), "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):  # nobody ever was, or it is not for us to see
        return False
    return b"up" in words  # a process of that number may be another one by now


def _in_profile(name: str | None, missed: list[str]) -> _Stored | None:
    """Return what a profile holds. A profile that is named must exist; the default one need not."""
    path = config_file()
    document = _config(path)
    wanted = name or document.get("profile", "default")
    profiles = document.get("profiles", {})
    if not isinstance(wanted, str) or not isinstance(profiles, dict):
        raise NotConfigured(f"{path}: `profile` is a name, and each profile a table [profiles.NAME]")
    if wanted not in profiles:
        if name is not None or "profile" in document:
            known = ", ".join(sorted(profiles)) or "none"
            raise NotConfigured(f"there is no profile {wanted!r} in {path} (it has: {known})")
        missed.append(f"there is no profile {wanted!r} in {path}")
        return None
    return _profile(path, wanted, profiles[wanted])


def _profile(path: Path, name: str, fields: object) -> _Stored:
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise NotConfigured(f"{path}: the profile {name!r} must be a table of texts")
    unknown = sorted(fields.keys() - _PROFILE_KEYS)
    if unknown:
        raise NotConfigured(
            f"{path}: the profile {name!r} has the unknown key {unknown[0]!r}; it takes url, token, token_file"
        )
    if not fields.get("url"):
        raise NotConfigured(f"{path}: the profile {name!r} has no url")
    return _Stored(_normal(fields["url"]), lambda: _token_of_profile(path, name, fields))


def _token_of_profile(path: Path, name: str, fields: Mapping[str, str]) -> str | None:
    if fields.get("token"):
        return checked_token(fields["token"], f"the token of the profile {name!r} in {path}")
    return _token_of_file(path, fields.get("token_file"))


def _token_of_file(path: Path, name: str | None) -> str | None:
    """Return the token in the file that a profile names. Raises NotConfigured if that file is not there."""
    if name is None:
        return None
    what = f"the token_file of {path}"
    return _needed(path.parent / _expanded(name, what), what)


def _token_of_environment() -> str | None:
    token, name = os.environ.get("GANGER_TOKEN"), os.environ.get("GANGER_TOKEN_FILE")
    if token or not name:
        return checked_token(token, "GANGER_TOKEN") or None if token else None
    return _needed(_expanded(name, "GANGER_TOKEN_FILE"), "GANGER_TOKEN_FILE")


def _needed(path: Path, what: str) -> str:
    text = _token_in(path)
    if text is None:
        raise NotConfigured(f"{what} names {path}, which does not exist or is empty")
    return text


def _token_in(path: Path) -> str | None:
    text = _read(path)
    return None if text is None else checked_token(text, str(path))


def _config(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NotConfigured(f"{path} is not TOML: {error}") from None


def _read(path: Path) -> str | None:
    """Return the text of a file, None if there is no such file or it is empty. Raises NotConfigured if it may not be read."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read ({error.strerror}); use --url and --token instead") from error
    except UnicodeDecodeError:
        raise NotConfigured(f"{path} does not hold text; use --url and --token instead") from None


def _normal(url: str) -> str:
    whole = url if "://" in url else f"http://{url}"
    return whole.rstrip("/") if whole.rstrip("/") != whole.partition("://")[0] + ":" else whole
