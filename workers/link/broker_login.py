"""A login in the address of a broker."""

from __future__ import annotations

from urllib.parse import quote, urlsplit


def with_login(url: str, user: str, password: str) -> str:
    """Return the address of a broker with this login in place of the one that it has, if any."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return parts._replace(netloc=f"{login}{host}").geturl()
