"""An API that is reached over a network without TLS: it works, and whoever starts it is told what that means."""

from __future__ import annotations

import ipaddress

WARNING = (
    "it is reached over the network without TLS: tokens, secrets and files can be read on the way. Put a proxy with TLS before it "
    "(deploy/nginx/ganger.conf) and say so with GANGER_PROXIES=1"
)


def is_readable_on_the_way(host: str, proxies: int) -> bool:
    """Tell whether an API that listens there is reached without TLS: beyond loopback, and no proxy before it is told of."""
    if proxies:
        return False
    try:
        return not ipaddress.ip_address(host or "::").is_loopback
    except ValueError:
        return host != "localhost"
