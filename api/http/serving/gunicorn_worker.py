"""The web server's worker, made patient: a connection gets a thread only when there is something for a thread to do.

Gunicorn's own worker gives every new connection a thread at once, and the thread waits for the first byte. A few dozen
idle connections then keep all threads waiting, and half a head keeps a thread for good. Here the poller holds a connection
until its whole head has come, and a small body with it, at no cost; one that takes too long over its head is closed. In a
thread a client has to keep a pace (`paced_socket`), and what may take long has a share of the threads (`thread_shares`).

Calls of nodes have threads of their own, and so have files of nodes and files by links: whatever users do, nodes beat. Nothing ever waits on the poller's own thread, nor does
a thread for the rest of a body that nobody wants: a connection that is over lingers in the poller until its client has seen that.

The worker builds on parts of gunicorn that are private, so pyproject.toml keeps gunicorn below its next major version.
Before that bound is raised, compare `gunicorn/workers/gthread.py` with the version before:

* `ThreadWorker.accept`, `on_client_socket_readable` and `on_pending_socket_readable` are replaced here: they have to be
  called with the same arguments, on the thread of the poller, and `accept` has to count `nr_conns` as it does here.
* `TConn(cfg, sock, client, server)` has `sock`, `parser`, `timeout` (a monotonic time) and `data_ready` (the thread does not
  wait for a first byte); `close(graceful=True)` is called on the poller's thread.
* `pending_conns` and `keepalived_conns` are queues in the order of `timeout`; `murder_pending` closes overdue ones.
* `poller` is a selector whose data is what is called; `enqueue_req` hands a connection to the pool of threads `tpool` and
  `finish_request` to the poller's thread when it is through; `_keepalive_after` tells whether the connection goes on.
* `api.http.waiting.parking_worker` says what it takes for granted.
* The parser reads bodies with `sock.recv`, answers are written with `sock.sendall`, and applications find the socket in
  `gunicorn.socket` of their environment.

`tests/journeys/test_http_patience.py` and `test_security_requests.py` fail when one of these no longer holds.
"""

from __future__ import annotations

import re
import resource
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import TConn

from api.http.serving import thread_shares
from api.http.serving.paced_socket import STALLED_S, Pace, PacedSocket
from api.http.waiting.parking_worker import ParkingWorker

HEAD_WITHIN_S = 10.0
"""A client that has connected, or begun a request, sends the whole head within this."""

BODY_WITHIN_S = 2.0
"""A small body comes within this after its head; else a thread has to wait for it, which the request needs a share for."""

MOST_HEAD = 64 * 1024
SMALL_BODY = 16 * 1024
"""The largest body that the poller waits for: with its head it fits into what the kernel keeps of a connection."""

DRAIN_S = 0.1
"""A thread spends so long on the rest of a body that nobody has read."""

LINGER_S = 2.0
MOST_LINGERING = 1_000
"""An ended connection waits for its client to take the last bytes and close; so many at once, for so long."""

END_OF_HEAD = b"\r\n\r\n"
CONNECTIONS = 10_000
SPARE_FILES = 500

_STALLED = struct.pack("ll", int(STALLED_S), 0)
_OF_NODE = re.compile(rb"[A-Z]+ /node/(files/)?")
_OF_BLOB = re.compile(rb"[A-Z]+ /blobs/")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_NOT_WAITED_FOR = re.compile(rb"\r\n(?:expect|transfer-encoding|upgrade)[ \t]*:", re.IGNORECASE)


def most_connections() -> int:
    """Return how many connections a worker may hold, after asking the system for as many open files as that needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(CONNECTIONS, soft - SPARE_FILES), SPARE_FILES // 2)


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection as gunicorn has it, that knows what it waits for."""

    linger: Callable[[Connection], None]
    threads = thread_shares.EVERYBODY
    has_head = False

    def close(self, graceful: bool = False) -> None:
        """Close it; gracefully means that the client is given the time to take the last bytes, while nobody waits for that."""
        if graceful:
            self.linger(self)
        else:
            super().close()


class RequestWorker(ParkingWorker):
    """Threads as gunicorn has them, for connections that have something to do."""

    node_threads = 6
    blob_threads = 8

    def init_process(self) -> None:
        """Begin, with threads of their own for what nodes ask, and for files by links."""
        sizes = {
            thread_shares.NODE_CALLS: self.node_threads,
            thread_shares.NODE_FILES: self.node_threads,
            thread_shares.BLOBS: self.blob_threads,
        }
        self.pools = {
            name: ThreadPoolExecutor(max_workers=size, thread_name_prefix=name) for name, size in sizes.items()
        }
        self.lingering: deque[Connection] = deque()
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; it gets a thread at once only if its request is there already."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        client = PacedSocket(accepted.family, accepted.type, accepted.proto, accepted.detach())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALLED)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALLED)
        # Said for each: who connected before the server had said it of its listener would wait 40 ms for many an answer.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn = Connection(self.cfg, client, address, listener.getsockname())
        conn.linger = self._linger
        self._begin_or_wait(conn)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Go on with a kept connection: the next request has begun."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.has_head = False
        self._begin_or_wait(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """More of a request has come: give it a thread when there is enough."""
        had_head = conn.has_head
        there = self._is_there(conn)
        if there or conn.has_head != had_head:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._begin(conn) if there else self._wait(conn)

    def murder_pending(self) -> None:
        """Close connections that took too long over their heads; those that lack a body get a thread, which goes on waiting."""
        now = time.monotonic()
        overdue = [conn for conn in self.pending_conns if conn.timeout <= now]
        for conn in overdue:
            self.pending_conns.remove(conn)
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)
            if conn.has_head:
                conn.sock.late = True
                self._begin(conn)
            else:
                self.nr_conns -= 1
                conn.close()
        while self.lingering and self.lingering[0].timeout <= now:
            self._end(self.lingering[0])

    def enqueue_req(self, conn: Connection) -> None:
        """Hand a connection to a thread: of the nodes' own, or of everybody's."""
        ahead = conn.parser.unreader.buf.getvalue() if conn.parser is not None else b""
        if ahead:  # the next request came with the last one: what was seen of it is not on the socket any more
            conn.threads = _threads_for(ahead)
            conn.sock.late = len(ahead) < _wanted(ahead)
        if ahead and END_OF_HEAD not in ahead:  # a thread would have to wait for the rest of the head
            self.nr_conns -= 1
            conn.close(graceful=True)
            return
        conn.sock.receiving = None
        self.submit(conn, self.handle, conn)

    def submit(self, conn: TConn, call: Callable[..., object], *arguments: object) -> None:
        """Let a thread do something for a connection: of the nodes' own, or of everybody's."""
        conn.sock.sending = Pace()
        done = (self.pools.get(conn.threads) or self.tpool).submit(call, *arguments)
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, conn, future))

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Tell whether the connection goes on; the rest of a body that nobody has read is thrown away if it is there."""
        if not keepalive:
            return False
        conn.sock.receiving = None
        return bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_S))

    def _begin_or_wait(self, conn: Connection) -> None:
        if self._is_there(conn):
            self._begin(conn)
        else:
            self._wait(conn)

    def _wait(self, conn: Connection) -> None:
        conn.timeout = time.monotonic() + (BODY_WITHIN_S if conn.has_head else HEAD_WITHIN_S)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _begin(self, conn: Connection) -> None:
        conn.data_ready = True
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self.enqueue_req(conn)

    def _is_there(self, conn: Connection) -> bool:
        """Tell whether a thread would not have to wait: head and small body are whole, or the connection has ended.

        Otherwise the poller is told to speak up only when there is more than has been seen.
        """
        try:
            seen = conn.sock.recv(MOST_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the thread finds out, and closes it
        if not seen:
            return True
        conn.sock.late = False
        wanted = _wanted(seen)
        conn.has_head = END_OF_HEAD in seen
        conn.threads = _threads_for(seen)
        if not conn.has_head and len(seen) >= MOST_HEAD:
            conn.sock.shutdown(socket.SHUT_RDWR)
            return True
        if conn.has_head and len(seen) >= wanted:
            return True
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted if conn.has_head else len(seen) + 1)
        return False

    def _linger(self, conn: Connection) -> None:
        """Keep an ended connection until its client closes it, so that unread bytes do not take the answer away from him."""
        try:
            conn.sock.settimeout(0)
            conn.sock.receiving = conn.sock.sending = None
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            conn.sock.shutdown(socket.SHUT_WR)
            if len(self.lingering) < MOST_LINGERING and self.alive:
                conn.timeout = time.monotonic() + LINGER_S
                self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
                self.lingering.append(conn)
                return
        except (OSError, KeyError, ValueError):
            pass
        TConn.close(conn)

    def _drain(self, conn: Connection, client: socket.socket) -> None:
        try:
            over = not client.recv(MOST_HEAD)
        except BlockingIOError:
            return
        except OSError:
            over = True
        if over:
            self._end(conn)

    def _end(self, conn: Connection) -> None:
        self.lingering.remove(conn)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        TConn.close(conn)


def _threads_for(seen: bytes) -> str:
    if _OF_BLOB.match(seen):
        return thread_shares.BLOBS
    found = _OF_NODE.match(seen)
    if found is None:
        return thread_shares.EVERYBODY
    return thread_shares.NODE_FILES if found.group(1) else thread_shares.NODE_CALLS


def _wanted(seen: bytes) -> int:
    """Return how many bytes of a request the poller waits for: its head and a small body; only the head, if the body is large."""
    head, _, _ = seen.partition(END_OF_HEAD)
    whole = len(head) + len(END_OF_HEAD)
    found = _LENGTH.search(head + b"\r\n")
    if found is None or _NOT_WAITED_FOR.search(head):
        return whole
    length = int(found.group(1))
    return whole + length if length <= SMALL_BODY else whole
