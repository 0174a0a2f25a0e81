"""The part of the web server's worker that parks: it keeps the connections of requests that wait, and has them looked at again.

It takes for granted of gunicorn's worker, beside what `api.http.serving.gunicorn_worker` says:

* `handle` lets what is no Exception pass through from the application; `handle_request(req, conn)` can be called again with a
  request that has no body; `finish_request` is given a future whose result is whether the connection goes on.
* `wait_for_and_dispatch_events(timeout)` is called in each turn of the loop, on the thread of the poller.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from api.http.waiting.parked import ParkedRequest, ParkedStream, Wait
from api.http.waiting.parking_lot import ParkingLot


class ParkingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Threads as gunicorn has them, and a parking lot."""

    def init_process(self) -> None:
        """Begin with nothing parked."""
        self.parked = ParkingLot(self)
        super().init_process()

    @abstractmethod
    def submit(self, conn: TConn, call: Callable[..., object], *arguments: object) -> None:
        """Let a thread do something for a connection; its result goes to `finish_request`."""

    def handle(self, conn: TConn) -> object:
        """Answer one request, in a thread; return whether the connection goes on, or what parks it."""
        try:
            return super().handle(conn) if conn.sock.wait is None else self._handle_again(conn)
        except (ParkedRequest, ParkedStream) as parked:
            return parked

    def handle_request(self, req: Any, conn: TConn) -> object:  # noqa: ANN401 - gunicorn has no types
        """Let the application answer a request."""
        conn.request = req
        return super().handle_request(req, conn)

    def look_again(self, conn: TConn) -> None:
        """Have a parked request answered anew, by a thread."""
        self.submit(conn, self.handle, conn)

    def send_rest(self, conn: TConn, rest: bytes, *, keep: bool) -> None:
        """Send the rest of an answer in a thread, to a client that is slow to take it."""

        def send() -> bool:
            conn.sock.settimeout(None)
            conn.sock.sendall(rest)
            return keep

        self.submit(conn, send)

    def finish_request(self, conn: TConn, done: Future[object]) -> None:
        """Go on with a connection whose thread is through: it is parked, kept, or closed."""
        result = None if done.cancelled() or done.exception() is not None else done.result()
        if isinstance(result, ParkedRequest):
            conn.sock.wait = None
            self.parked.hold(conn, result)
        elif isinstance(result, ParkedStream):
            self.parked.feed(conn, result)
        else:
            super().finish_request(conn, done)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what comes over the network or is due, and do it."""
        super().wait_for_and_dispatch_events(self.parked.next_s(timeout))
        self.parked.run_due()
        if not self.alive:
            self.parked.clear()

    def _handle_again(self, conn: TConn) -> object:
        """Answer a request that was parked: its head has been read, and it has no body."""
        wait: Wait = conn.sock.wait
        conn.sock.settimeout(None)
        goes_on = False
        try:
            goes_on = self._keepalive_after(conn, bool(self.handle_request(conn.request, conn)))
        except (OSError, StopIteration):
            pass
        except Exception as trouble:  # noqa: BLE001 - as gunicorn does: the client is told, and the thread lives
            self.handle_error(conn.request, conn.sock, conn.client, trouble)
        finally:
            conn.sock.wait = None
        wait.settle()
        return goes_on
