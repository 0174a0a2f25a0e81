"""One HTTP connection pool to one API: sends, repeats what may be repeated, turns refusals into errors.

A call is *repeatable* when doing it twice is the same as doing it once: every read, every call with an idempotency key.
A repeatable call survives a broken connection and a server that is restarting; another one is repeated only if the
connection could not even be made, for then nothing was sent.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TypeAlias

import httpx2

from ganger import addresses, unsendable
from ganger.documents import JsonObject
from ganger.errors import Refused, Unreachable, UsageError, refusal

Params: TypeAlias = Sequence[tuple[str, str]]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
# Too many requests, bad gateway, unavailable, gateway timeout: the same call may well succeed a moment later.
PASSING = frozenset({429, 502, 503, 504})
TOO_MANY = 429
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` is sent as JSON; `file` is an open, seekable file that is sent from its beginning."""

    method: str
    path: str
    params: Params = ()
    body: object = None
    file: IO[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool | None = None
    patience_s: float | None = None

    @property
    def may_repeat(self) -> bool:
        """Whether doing it twice is the same as doing it once."""
        return self.method in {"GET", "DELETE"} if self.repeatable is None else self.repeatable


class Transport:
    """Thread-safe. `patience_s` is how long a call goes on trying to reach an API that does not answer.

    It may be used on both sides of a fork: a new process makes its own connections. If two processes read from one
    connection, each may get the other's answers.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout_s: float = 60.0,
        patience_s: float = 10.0,
        http: httpx2.BaseTransport | None = None,
        on_token_ending: Callable[[str], None] | None = None,
    ) -> None:
        self.url = addresses.checked(url.rstrip("/"))
        self._on_token_ending = on_token_ending
        self._patience_s, self._timeout_s = patience_s, timeout_s
        self._headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self.timeout_s = timeout_s
        self._timeout = httpx2.Timeout(timeout_s, connect=5.0)
        self._replaced_network = http
        self._is_closed = False
        self._of_process = os.getpid(), self._connections()

    def close(self) -> None:
        """Close all connections of this process."""
        self._is_closed = True
        self._http.close()

    def without_token(self, url: str) -> Transport:
        """Return a transport to the host of an address that is its own credential, which never gets the token."""
        where = httpx2.URL(url)
        root = str(where.copy_with(raw_path=b"/", fragment=None))
        patience_s, http = self._patience_s, self._replaced_network
        return Transport(root, None, timeout_s=self._timeout_s, patience_s=patience_s, http=http)

    @property
    def _http(self) -> httpx2.Client:
        """The connections of this process. Connections of the process that it was forked from are left alone."""
        process, connections = self._of_process
        if process != os.getpid():
            connections = self._connections()
            self._of_process = os.getpid(), connections
        return connections

    def _connections(self) -> httpx2.Client:
        addresses.check_proxies()
        try:
            made = httpx2.Client(
                base_url=self.url, headers=self._headers, timeout=self._timeout, transport=self._replaced_network
            )
        except (httpx2.InvalidURL, ValueError, ImportError, OSError) as error:
            raise addresses.unusable_network(error) from None
        if self._is_closed:
            made.close()
        return made

    def json(self, call: Call) -> JsonObject:
        """Return the JSON object that is the body of the answer. Raises Unreachable or Refused."""
        return self.json_or_none(call) or {}

    def json_or_none(self, call: Call) -> JsonObject | None:
        """Return the JSON object that is the body of the answer, None where it has none. Raises Unreachable or Refused."""
        response = self.send(call)
        if not response.content:
            return None
        try:
            body = response.json(object_hook=Answer)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Unreachable(f"what answers at {addresses.shown(self.url)} is not Ganger's API (no JSON)")
        return body

    def send(self, call: Call) -> httpx2.Response:
        """Return the answer, read to its end. Raises Unreachable or Refused."""
        patience_s = self._patience_s if call.patience_s is None else call.patience_s
        deadline = time.monotonic() + patience_s
        for pause_s in _pauses():
            last = time.monotonic() + pause_s >= deadline
            try:
                response = self._http.send(self._request(call))
            except httpx2.DecodingError as error:
                raise self._unreachable(error) from error
            except httpx2.TransportError as error:
                if last or not (call.may_repeat or isinstance(error, NEVER_SENT)):
                    raise self._unreachable(error) from error
            else:
                told_s = _wanted_pause_s(response)
                last = time.monotonic() + max(pause_s, told_s) >= deadline
                # Too many requests: it was refused before anything was done, so any call may be sent again.
                may_repeat = call.may_repeat or response.status_code == TOO_MANY
                if last or response.status_code not in PASSING or not may_repeat:
                    self._tell_ending(response)
                    return _checked(response)
                pause_s = max(pause_s, told_s)  # noqa: PLW2901 - this pause, not the next
            time.sleep(pause_s)
        raise AssertionError("pauses never end")

    @contextmanager
    def stream(self, call: Call, *, read_timeout_s: float | None = None) -> Iterator[httpx2.Response]:
        """Yield the answer before its body; a break in the middle raises Unreachable. Never repeats by itself.

        The answer can be read only by the process that asked; `check_process` tells another one so.
        """
        request = self._request(call)
        process = os.getpid()
        request.extensions["timeout"] = httpx2.Timeout(60.0, connect=5.0, read=read_timeout_s).as_dict()
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                yield _checked(response)
            finally:
                if process == os.getpid():
                    response.close()
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise self._unreachable(error) from error

    def check_process(self, process: int) -> None:
        """Raise Unreachable unless this is the process `process`, whose connection an answer is read from."""
        if process != os.getpid():
            raise Unreachable("the answer belongs to the process that this one was forked from")

    def path_of(self, link: str) -> str:
        """Return an absolute link of an answer as a path of this API, whatever host a proxy made of it."""
        path = httpx2.URL(link).raw_path.decode("ascii")
        prefix = httpx2.URL(self.url).path.rstrip("/")  # a proxy may serve the API beneath one
        return path.removeprefix(prefix) if prefix and path.startswith(f"{prefix}/") else path

    def _request(self, call: Call) -> httpx2.Request:
        headers = dict(call.headers)
        if call.file is not None:
            headers["Content-Length"] = str(call.file.seek(0, os.SEEK_END))
            call.file.seek(0)
        try:
            return self._http.build_request(
                call.method,
                call.path,
                params=list(call.params) or None,
                json=call.body,
                content=call.file,
                headers=headers,
            )
        except ValueError:  # UnicodeEncodeError is one
            raise unsendable.error(call.body, call.params) from None
        except httpx2.InvalidURL:
            raise UsageError("what is asked for holds a character that an address cannot have") from None

    def _tell_ending(self, response: httpx2.Response) -> None:
        """Say once when the token ends, if an answer warns of it."""
        ends = response.headers.get("X-Token-Expires")
        if ends is not None and self._on_token_ending is not None:
            tell, self._on_token_ending = self._on_token_ending, None
            tell(ends)

    def _unreachable(self, error: httpx2.TransportError | httpx2.DecodingError) -> Unreachable:
        where = addresses.shown(self.url)
        if isinstance(error, httpx2.TimeoutException) and not isinstance(error, NEVER_SENT):
            return Unreachable(f"the API at {where} did not answer in time")
        proxy = addresses.proxy_for(self.url)
        way = f" through the proxy of {proxy}" if proxy and self._replaced_network is None else ""
        return Unreachable(f"the API at {where} cannot be reached{way} ({_reason(error)})")


class Answer(dict[str, object]):
    """An object of an answer. A field that every Ganger has and this one lacks means that something else answers."""

    def __missing__(self, name: str) -> object:
        """Raise Unreachable for a field that is not there."""
        raise Unreachable(f"what answers is not Ganger's API, or of another version: its answer has no {name!r}")


def _pauses() -> Iterator[float]:
    """Yield ever longer pauses with jitter, so that many clients do not come back at the same moment."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def _wanted_pause_s(response: httpx2.Response) -> float:
    """Return how long the answer asks to wait (Retry-After in seconds), 0 where it asks for nothing."""
    told = response.headers.get("Retry-After", "") if response.status_code in PASSING else ""
    return float(told) if told.isascii() and told.isdecimal() and len(told) <= 6 else 0.0  # noqa: PLR2004 - eleven days


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.is_success:
        return response
    if response.is_redirect:
        sentence = f"the API at this address points elsewhere ({response.headers.get('Location', 'nowhere')})"
        raise refusal(response.status_code, sentence)
    raise _refusal(response)


def _refusal(response: httpx2.Response) -> Refused:
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        sentence = str(body.get("description") or body.get("name") or response.reason_phrase)
        return refusal(response.status_code, sentence, body)
    text = "" if response.text.lstrip().startswith("<") else response.text.strip().partition("\n")[0][:500]
    return refusal(response.status_code, text or response.reason_phrase)


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    text = text.partition("] ")[2] or text  # "[Errno 111] Connection refused"
    return text[:1].lower() + text[1:] if text else type(error).__name__
