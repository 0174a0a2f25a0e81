"""Which addresses a name on the web may lead to. A user names the host, this process connects: it must not lead inside.

A name is looked up once, and the very address that was checked is connected to, so that a name that changes its address
in between leads nowhere else. Addresses of this machine, of its link (the metadata of clouds are there) and of private
networks are refused, also where they are written within an IPv6 address. Operators allow networks of their own.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address
_TRANSLATED_LOCALLY: Final = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # an IPv4 address in the old manner


class PrivateAddressError(OSError):
    """A name leads to an address that must not be connected to."""


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list such as `10.1.0.0/16, fd00::/8`. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_open(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Return whether an address may be connected to: a public one, or one of an allowed network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(one) or any(one in network for network in allowed) for one in _meant(found))


def resolve(host: str, port: int, allowed: Sequence[Network] = ()) -> list[tuple[str, int]]:
    """Return the addresses of a host that may be connected to, as (address, port). Raises OSError, PrivateAddressError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is not a host's name") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    open_ones = [(address, port) for address in addresses if is_open(address, allowed)]
    if not open_ones:
        raise PrivateAddressError(f"{host} leads to a private address, which is not allowed here")
    return open_ones


def connect(host: str, port: int, timeout_s: float, allowed: Sequence[Network] = ()) -> socket.socket:
    """Return a connection to a host, at an address that was checked. Raises OSError, PrivateAddressError."""
    failure: OSError = OSError(f"{host} has no address")
    for place in resolve(host, port, allowed):
        try:
            return socket.create_connection(place, timeout_s)
        except OSError as error:
            failure = error
    raise failure


def _meant(address: _Address) -> list[_Address]:
    """Return the address with those that are written within it: a gateway may take it for one of them."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner: list[_Address] = [address]
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner += address.teredo
    return inner


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address in _TRANSLATED_LOCALLY or address.is_site_local):
        return False
    is_inside = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    # An address of a translated network is judged by the one within it.
    return not (is_inside or address.is_unspecified) and (address.is_global or address in _TRANSLATED)
