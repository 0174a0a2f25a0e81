"""Calls of the node protocol over connections that stay open: one POST each, with as little work as it takes.

A node makes some of them for each few executions, and a general HTTP library took longer for one than all else that the
agent does for an execution.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

_CONNECT_S, _ANSWER_S = 5.0, 15.0
_MOST_IDLE = 16
_IDLE_S = 60.0
"""What was idle for longer may have been forgotten by something on the way, which tells nobody: a call would wait in vain."""


class CallFailed(Exception):
    """There was no answer."""


class CallConnections:
    """Posts JSON to paths beneath a URL. It is thread-safe: a call has a connection for itself."""

    def __init__(
        self, url: str, tls: ssl.SSLContext | None, *, answer_s: float = _ANSWER_S, idle_s: float = _IDLE_S
    ) -> None:
        """`tls` is what an https address is checked by; `answer_s` is the longest silence, `idle_s` the longest rest of a connection."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix, self._tls = parts.path.rstrip("/"), tls
        self._answer_s, self._idle_s = answer_s, idle_s
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []  # and since when, the latest last
        self._lock = threading.Lock()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return status and content of the answer. Raises CallFailed.

        A call over a connection that the server has closed meanwhile is made again over a new one: each may be repeated.
        """
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        kept = self._kept()
        if kept is not None:
            try:
                return self._ask(kept, path, body, headers)
            except TimeoutError as error:
                self._forget_idle()  # whatever has swallowed this one has swallowed them, too
                raise CallFailed(str(error) or "timed out") from error
            except (OSError, http.client.HTTPException):
                self._forget_idle()
        try:
            return self._ask(self._connect(), path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise CallFailed(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Close the connections that wait."""
        self._forget_idle()

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        try:
            connection.request("POST", self._prefix + path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._keep(connection)
        return answer.status, content

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_S)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_CONNECT_S, context=self._tls)
        connection.connect()
        assert isinstance(connection.sock, socket.socket)  # noqa: S101  it is connected
        connection.sock.settimeout(self._answer_s)
        return connection

    def _kept(self) -> http.client.HTTPConnection | None:
        with self._lock:
            if self._idle and time.monotonic() - self._idle[-1][1] < self._idle_s:
                return self._idle.pop()[0]
        self._forget_idle()
        return None

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()

    def _forget_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()
