"""Sources: a file is read from where it lies, by http(s): from a web server, or an object store that signed the URL.

The node sends no credential of its own. A URL that needs one carries it, and is valid for a short time only.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from workers.api_client import ServerRefused, ServerUnreachable

_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)
"""Per read, not for the whole file."""
_PIECE_BYTES = 1 << 20
_NOT_NOW = frozenset({408, 425, 429})


def read(url: str, offset: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file from `offset` on. Raises ServerUnreachable when trying again may help, ServerRefused when not."""
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        with httpx2.stream("GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True) as answer:
            if answer.status_code >= 500 or answer.status_code in _NOT_NOW:  # noqa: PLR2004
                raise ServerUnreachable(f"{host} answers {answer.status_code}", answered=True)
            if answer.status_code >= 300:  # noqa: PLR2004
                raise ServerRefused(answer.status_code, f"{host} answers {answer.status_code}.")
            encoding = answer.headers.get("Content-Encoding", "identity")
            if encoding.strip().lower() != "identity":
                raise ServerRefused(answer.status_code, f"{host} sends it encoded ({encoding[:40]}).")
            skip = offset if answer.status_code == 200 else 0  # noqa: PLR2004  a server without ranges sends it all
            for piece in answer.iter_raw(_PIECE_BYTES):
                yield piece[skip:]
                skip = max(0, skip - len(piece))
    except httpx2.UnsupportedProtocol as error:
        raise ServerRefused(0, f"It cannot be read from {url[:100]!r}.") from error
    except httpx2.HTTPError as error:
        raise ServerUnreachable(f"{host}: {error}", answered=False) from error
