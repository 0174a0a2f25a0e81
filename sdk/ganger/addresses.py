"""Addresses of APIs and the way to them: which can be one, how one is shown, why the environment's proxy is none."""

from __future__ import annotations

import os
import re
import urllib.request
from urllib.parse import urlsplit

from ganger.errors import NotConfigured

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
"""The variables that name a proxy."""

_LABEL = r"[A-Za-z0-9_\u00a1-\uffff](?:[A-Za-z0-9_\u00a1-\uffff-]{0,61}[A-Za-z0-9_\u00a1-\uffff])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|[0-9A-Fa-f:.]+(?:%\w+)?")


def checked(url: str) -> str:
    """Return the address of an API. Raises NotConfigured if it can be none."""
    if not _is_address(url, {"http", "https"}):
        raise NotConfigured(f"{shown(url)!r} is not an address such as http://host:8470")
    return url


def shown(url: str) -> str:
    """Return an address as it may be shown: without a name and a password in it."""
    scheme, separator, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def check_proxies() -> None:
    """Raise NotConfigured for a proxy of the environment that can be none, by its variable: its value may hold a password."""
    for name in PROXIES:
        value = os.environ.get(name, "")
        if value and not _is_address(
            value if "://" in value else f"http://{value}", {"http", "https", "socks5", "socks5h"}
        ):
            raise NotConfigured(f"the proxy in {name} is not an address such as http://proxy:3128")


def proxy_for(url: str) -> str | None:
    """Return the name of the variable whose proxy is asked for this address; None if it is asked directly."""
    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    wanted = {f"{parts.scheme}_proxy", "all_proxy"}
    return next((name for name in PROXIES if name.lower() in wanted and os.environ.get(name)), None)


def unusable_network(error: Exception) -> NotConfigured:
    """Return why no connection can be prepared, by the variables that say how; their values may hold passwords."""
    if isinstance(error, OSError):
        return NotConfigured(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be read ({error.strerror})"
        )
    named = [name for name in PROXIES if os.environ.get(name)] or ["HTTP_PROXY"]
    more = "; SOCKS needs the package socksio" if isinstance(error, ImportError) else ""
    return NotConfigured(f"the proxy in {' or '.join(named)} is not an address such as http://proxy:3128{more}")


def _is_address(url: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        parts.scheme in schemes and port != 0 and bool(_HOST.fullmatch(host)) and url.isprintable() and " " not in url
    )
