"""Forms are taken from our own pages alone: the browser says where a form comes from, and the form repeats a word of the session.

The word is masked anew in every answer, so that a compressed page gives nothing away about it (BREACH).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from flask import request

from scheduler.errors import Forbidden

FIELD = "csrf"
HEADER = "X-CSRF-Token"
BYTES = 16


def word(session: str) -> str:
    """Return the word that forms of this session repeat, masked: no two answers have the same."""
    mask = secrets.token_bytes(BYTES)
    masked = bytes(one ^ other for one, other in zip(mask, _plain(session), strict=True))
    return base64.urlsafe_b64encode(mask + masked).decode().rstrip("=")


def check_origin() -> None:
    """Raise Forbidden for a form that a page of somebody else has sent. A program that sends neither header is no browser."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        raise Forbidden("this form was sent from another site's page")
    if site is None and origin is not None and origin != request.host_url.rstrip("/"):
        raise Forbidden("this form was sent from another site's page")


def check(session: str) -> None:
    """Raise Forbidden unless the form is of our own page, in this session."""
    check_origin()
    given = request.headers.get(HEADER) or request.form.get(FIELD) or ""
    if not hmac.compare_digest(_unmasked(given), _plain(session)):
        raise Forbidden("this form is not of this session; load the page again and repeat")


def _plain(session: str) -> bytes:
    return hmac.new(session.encode(), b"forms", hashlib.sha256).digest()[:BYTES]


def _unmasked(given: str) -> bytes:
    try:
        raw = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""
    if len(raw) != 2 * BYTES:
        return b""
    return bytes(one ^ other for one, other in zip(raw[:BYTES], raw[BYTES:], strict=True))
