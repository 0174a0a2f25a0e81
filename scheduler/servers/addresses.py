"""Addresses of broker and API as people write them: each spelling that is meant becomes the one that our libraries read.

No message repeats an address: it may hold a password. The address of the database is read in `database_address`.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

_BROKER_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+socket": "redis+socket",
    "valkey+socket": "redis+socket",
    "unix": "redis+socket",
}
_VERIFIED = "ssl_cert_reqs=required"
_BROKER_FORM = "redis://:PASSWORD@HOST:6379/0, with rediss:// for TLS, or redis+socket:///PATH/TO/SOCKET"


def broker(text: str) -> str:
    """Return the address of a Redis or Valkey as Celery reads it. Raises ValueError with the reason."""
    parts = _split(text, _BROKER_FORM)
    scheme = _BROKER_SCHEMES.get(parts.scheme)
    if scheme is None:
        raise ValueError(f"the broker is Redis or Valkey; it is written as {_BROKER_FORM}")
    if scheme == "redis+socket":
        return _socket_address(parts)
    if not parts.hostname:
        raise ValueError(f"it names no host; it is written as {_BROKER_FORM}")
    number = unquote(parts.path).strip("/")
    if number and not number.isdigit():
        raise ValueError("a database of Redis is a number, as in redis://HOST:6379/0")
    query = parts.query
    if scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(query):
        query = f"{query}&{_VERIFIED}" if query else _VERIFIED  # Celery's own default is to believe any certificate
    return parts._replace(scheme=scheme, query=query).geturl()


def without_login(url: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def api(text: str) -> str:
    """Return the address of an API without a slash at its end. Raises ValueError with the reason."""
    form = "http://HOST:8470, or https://HOST"
    parts = _split(text, form)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"it is written as {form}")
    return parts.geturl().rstrip("/")


def _split(text: str, form: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
        if parts.port == 0:
            raise ValueError  # noqa: TRY301 - the same sentence
    except ValueError:  # a port that is no number, or brackets that do not match
        raise ValueError(f"host or port cannot be read; it is written as {form}") from None
    return parts


def _socket_address(parts: SplitResult) -> str:
    """Redis' own library calls the number of the database `db`, Celery calls it `virtual_host`."""
    folders = parts.hostname or ""  # unix://tmp/x.sock: a slash is missing
    if folders or not parts.path:
        raise ValueError("the path of the broker's socket begins with a slash: redis+socket:///PATH/TO/SOCKET")
    query = parse_qs(parts.query)
    number = (query.get("virtual_host") or query.get("db") or ["0"])[0].strip("/")
    if not number.isdigit():
        raise ValueError("a database of Redis is a number, as in redis+socket:///PATH/TO/SOCKET?virtual_host=0")
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"redis+socket://{login}{quote(unquote(parts.path))}?virtual_host={number}"
