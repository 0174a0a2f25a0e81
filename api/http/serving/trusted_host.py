"""The name by which the API is asked for: answers carry links made of it, so only a name that is the API's own is believed.

GANGER_TRUSTED_HOSTS names them; one that begins with a dot stands for all names below it. This machine as it calls itself
(localhost, 127.0.0.1) is believed always, and so are the names of GANGER_PUBLIC_URL and GANGER_PUBLIC_FILE_URL. Without that setting the names are
believed that nobody can make lead here from elsewhere: addresses, localhost, names without a dot, names of networks of one's
own (.local, .internal, .svc, ...), this machine's own name, and that of GANGER_API_URL.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.sansio.utils import host_is_trusted

from scheduler.errors import InvalidInput
from scheduler.settings import Settings

PROBES = ("/health/", "/metrics")
"""Probes are sent to whatever name or address a load balancer or monitor knows; their answers hold no links."""

_OWN_NETWORKS = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".svc", ".cluster.local")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?\.?\Z")


def install(app: Flask, settings: Settings) -> None:
    """Refuse (400) whoever asks for a name that is not the API's."""
    own = [socket.gethostname().lower()]
    if settings.api_url is not None and (named := urlsplit(settings.api_url).hostname):
        own.append(named.lower())

    public = {
        named.lower()
        for url in (settings.public_url, settings.public_file_url)
        if url is not None and (named := urlsplit(url).hostname)
    }

    def check() -> None:
        if request.path.startswith(PROBES):
            return
        host = request.environ.get("HTTP_HOST", "localhost")
        given = settings.trusted_hosts
        is_public = (_without_port(host) or "").strip("[]").lower() in public
        trusted = is_public or is_loopback(host) or (host_is_trusted(host, given) if given else is_own(host, own))
        if not trusted:
            raise InvalidInput(
                f"this API does not answer to the name {host[:80]!r}; an administrator adds it to GANGER_TRUSTED_HOSTS"
            )

    app.before_request(check)


def is_loopback(host: str) -> bool:
    """Tell whether a Host header names this machine as it calls itself."""
    name = (_without_port(host) or "").strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_own(host: str, own: list[str]) -> bool:
    """Tell whether a Host header names an address, or a name that cannot be somebody else's."""
    name = _without_port(host)
    if name is None:
        return False
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        return True
    name = name.lower().rstrip(".")
    if not _NAME.match(name):
        return False
    machine = any(name == one or name.startswith(f"{one}.") for one in own)
    return "." not in name or name.endswith(_OWN_NETWORKS) or machine


def _without_port(host: str) -> str | None:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]@/\\?#]+)(?::[0-9]{1,5})?", host)
    return found.group(1) if found else None
