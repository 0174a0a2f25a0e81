"""Signed links: addresses of files that are their own credential, for a while, and for one class of methods.

    # in a handler that hands one out; the path is that of a route of ours
    address = signed.link(call.rt, signed.READ, f"/blobs/{file.uuid}", {"name": "report.csv"})

    # in the handler that the address leads to (`role="public"`, `any_query=True`): raises Forbidden unless all of it is as it was
    values = signed.check(call.rt, signed.READ, ["name"])

The signature covers the class of methods, the path, the moment when the link ends, and the values that were given with it. It
covers them *decoded*: clients take an address apart and write it anew, `%3A` as `:`, in another order, with parameters of their
own behind (`comp=block&blockid=...`). Such parameters are no part of the link, so a handler believes no value that `check` does
not return. The key is derived from the keyring's first; links of every key that the ring still holds are good, so that a
change of keys breaks none before it ends.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NewType
from urllib.parse import quote, urlencode

import orjson
from flask import request

from api.http.links import public
from scheduler.errors import Forbidden, ServiceUnavailable
from scheduler.runtime import Runtime

MethodClass = NewType("MethodClass", str)

READ: Final = MethodClass("read")
"""GET and HEAD of what is there."""

WRITE: Final = MethodClass("write")
"""PUT, and what tells a writer how far he is."""

OWN: Final = ("se", "sp", "sk", "sig")
"""Parameters of every link: its end, its class of methods, the id of the key, the signature."""

_DATE: Final = "%Y-%m-%dT%H:%M:%SZ"


def link(
    rt: Runtime,
    methods: MethodClass,
    path: str,
    values: Mapping[str, str] | None = None,
    good_for_s: float | None = None,
) -> str:
    """Return the absolute address of a file at this path, good for `good_for_s` seconds (default: the setting `link_s`).

    `values` stand in its query. Raises ServiceUnavailable if this API has no key to sign with.
    """
    given = dict(values or {})
    assert not set(given) & set(OWN), "the link's own parameters"  # noqa: S101 - a fault of ours
    lasts = timedelta(seconds=rt.settings.link_s if good_for_s is None else good_for_s)
    end = (rt.now().astimezone(UTC) + lasts).strftime(_DATE)
    made = rt.keyring.sign(_message(methods, path, end, given))
    if made is None:
        raise ServiceUnavailable(
            "this API has no key to sign links with: GANGER_SECRETS_KEY or GANGER_SECRETS_KEY_FILE"
        )
    signature = base64.urlsafe_b64encode(made[1]).decode().rstrip("=")
    query = urlencode({**given, "se": end, "sp": methods, "sk": made[0], "sig": signature})
    return f"{public.file_url(quote(path))}?{query}"


def can_sign(rt: Runtime) -> bool:
    """Tell whether this API can hand out links."""
    return rt.keyring.first is not None


def check(rt: Runtime, methods: MethodClass, names: Sequence[str] = ()) -> dict[str, str]:
    """Return the values of these names that the link of this request carries; names that it was made without are left out.

    Raises Forbidden for an address that was altered or has ended, and for one that is good for another class of methods.
    """
    found = {name: _only(name) for name in (*OWN, *names) if name in request.args}
    if any(name not in found for name in OWN):
        raise Forbidden("this address needs a signed link; ask the API for one")
    values = {name: found[name] for name in names if name in found}
    message = _message(methods, request.path, found["se"], values)
    if found["sp"] != methods or not rt.keyring.has_signed(found["sk"], message, _signature(found["sig"])):
        raise Forbidden("this link is not one of ours, was altered, or is not for this method")
    if datetime.strptime(found["se"], _DATE).replace(tzinfo=UTC) <= rt.now():
        raise Forbidden("this link has expired; ask the API for a new one")
    return values


def _message(methods: MethodClass, path: str, end: str, values: Mapping[str, str]) -> bytes:
    return orjson.dumps(["link", methods, path, end, sorted(values.items())])


def _only(name: str) -> str:
    found = request.args.getlist(name)
    if len(found) != 1:
        raise Forbidden(f"this link was altered: {name} is there {len(found)} times")
    return found[0]


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
