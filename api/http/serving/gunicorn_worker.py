"""The web server's worker, made patient: a connection gets a thread only when a whole request head has come.

Gunicorn's own worker gives every new connection a thread at once, and the thread waits for the first byte. A few dozen
idle connections then keep all threads waiting, and half a head keeps a thread for good. Here the poller holds both kinds
at no cost, and closes a connection that has not sent its head in time. A thread that reads a body or writes an answer
gives up on a client that has stopped altogether.

The worker builds on parts of gunicorn that are private, so pyproject.toml keeps gunicorn below its next major version.
Before that bound is raised, compare `gunicorn/workers/gthread.py` with the version before:

* `ThreadWorker.accept`, `on_client_socket_readable` and `on_pending_socket_readable` are replaced here: they have to be
  called with the same arguments, on the thread of the poller, and `accept` has to count `nr_conns` as it does here.
* `TConn(cfg, sock, client, server)` has `sock`, `timeout` (a monotonic time) and `data_ready` (the thread does not wait
  for a first byte).
* `pending_conns` and `keepalived_conns` are queues in the order of `timeout`; the worker closes their overdue heads.
* `poller` is a selector whose data is what is called, and `enqueue_req` hands a connection to a thread.

`tests/journeys/test_http_patience.py` fails when one of these no longer holds.
"""

from __future__ import annotations

import resource
import socket
import struct
import time
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_WITHIN_S = 10.0
"""A client that has connected, or begun a request, sends the whole head within this."""

MOST_HEAD = 64 * 1024
STALLED_S = 30
"""A thread waits so long for the next piece of a body, or for a client to take the next piece of an answer."""

END_OF_HEAD = b"\r\n\r\n"
CONNECTIONS = 10_000
SPARE_FILES = 500

_STALLED = struct.pack("ll", STALLED_S, 0)


def most_connections() -> int:
    """Return how many connections a worker may hold, after asking the system for as many open files as that needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(CONNECTIONS, soft - SPARE_FILES), SPARE_FILES // 2)


class RequestWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Threads as gunicorn has them, for connections that have something to do."""

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; it gets a thread at once only if its request is there already."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALLED)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALLED)
        conn = TConn(self.cfg, client, address, listener.getsockname())
        if self._head_is_there(conn):
            self._begin(conn)
        else:
            self._await_head(conn)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Go on with a kept connection: the next request has begun."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        if self._head_is_there(conn):
            self._begin(conn)
        else:
            self._await_head(conn)

    def on_pending_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """More of a head has come: give it a thread when it is whole."""
        if self._head_is_there(conn):
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._begin(conn)

    def _await_head(self, conn: TConn) -> None:
        conn.timeout = time.monotonic() + HEAD_WITHIN_S
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _begin(self, conn: TConn) -> None:
        conn.data_ready = True
        self.enqueue_req(conn)

    def _head_is_there(self, conn: TConn) -> bool:
        """Tell whether a thread would not have to wait: the head is whole, or the connection has ended or is refused.

        Otherwise the poller is told to speak up only when there is more than has been seen.
        """
        try:
            seen = conn.sock.recv(MOST_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the thread finds out, and closes it
        whole = not seen or END_OF_HEAD in seen
        if not whole and len(seen) >= MOST_HEAD:
            conn.sock.shutdown(socket.SHUT_RDWR)
            whole = True
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if whole else len(seen) + 1)
        return whole
