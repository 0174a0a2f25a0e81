"""The supervisor's side of its socket: several clients, one JSON object a line. It never waits for any of them."""

import json
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

MAX_LINE_BYTES: Final = 64 << 20  # 500 starts with large environments take 10 MiB
MAX_UNSENT_BYTES: Final = 16 << 20  # a client that reads nothing is dropped; it gets all messages again when it returns
_MAX_CLIENTS: Final = 64
_READ_BYTES: Final = 1 << 16
_BACKLOG: Final = 32
_INTEREST: Final = select.EPOLLIN | select.EPOLLRDHUP
_START: Final = '{"ev":"started"'
_PEER: Final = struct.Struct("iII")  # pid, uid, gid

LineMessage = dict[str, Any]
LineHandler = Callable[["ClientConnection", LineMessage], LineMessage]


class ClientConnection:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.subscribed = False
        self.wants_starts = True  # whether it is told of each start, too
        self.is_full = False  # its socket takes nothing more now
        self.unsent = bytearray()  # not yet sent
        self.partial = bytearray()  # received, not yet a whole line


class LineServer:
    """Accepts clients at `directory`/supervisor.sock and carries lines between them and a handler."""

    def __init__(self, directory: str, poll: select.epoll, hello: LineMessage, handler: LineHandler) -> None:
        self._poll = poll
        self._hello = hello
        self._handler = handler
        self._clients: dict[int, ClientConnection] = {}
        self._listener = _listen(directory)
        poll.register(self._listener, select.EPOLLIN)

    def handles(self, descriptor: int) -> bool:
        """Whether an event on this descriptor is for `serve`."""
        return descriptor == self._listener.fileno() or descriptor in self._clients

    def serve(self, descriptor: int, events: int) -> None:
        """Serve a descriptor that the poll reported."""
        if descriptor == self._listener.fileno():
            self._accept()
            return
        client = self._clients.get(descriptor)
        if client is not None and events & select.EPOLLOUT:
            self._flush(client)
        if descriptor in self._clients and client is not None and events & ~select.EPOLLOUT:
            self._receive(client)

    def publish(self, texts: list[str]) -> None:
        """Send events, already JSON, to every subscriber in one line."""
        for client in [each for each in self._clients.values() if each.subscribed] if texts else ():
            wanted = texts if client.wants_starts else [text for text in texts if not text.startswith(_START)]
            if wanted:
                self.send(client, events_line(wanted))

    def send(self, client: ClientConnection, line: bytes) -> None:
        """Send a line, now or as soon as the client reads again."""
        client.unsent += line
        self._flush(client)

    def close(self) -> None:
        """Send every client the rest, as far as its socket takes it, and close."""
        for client in list(self._clients.values()):
            self._flush(client)
            self._drop(client)
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, uid, _ = _PEER.unpack(peer)
        if len(self._clients) >= _MAX_CLIENTS or uid not in {0, os.geteuid()}:
            connection.close()
            return
        connection.setblocking(False)  # noqa: FBT003  (positional only)
        client = ClientConnection(connection)
        self._clients[connection.fileno()] = client
        self._poll.register(connection, _INTEREST)
        self.send(client, json.dumps(self._hello).encode() + b"\n")

    def _receive(self, client: ClientConnection) -> None:
        try:
            chunk = client.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk or len(client.partial) > MAX_LINE_BYTES:
            self._drop(client)
            return
        client.partial += chunk
        if b"\n" not in chunk:
            return
        *lines, rest = client.partial.split(b"\n")
        client.partial = rest
        for line in lines:
            self._answer(client, line)

    def _answer(self, client: ClientConnection, line: bytearray) -> None:
        number, is_silent = None, False
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise TypeError("a message must be an object")  # noqa: TRY301
            number = message.get("id")
            answer = self._handler(client, message)
            is_silent = bool(message.get("silent"))
        except (ValueError, TypeError, KeyError) as error:
            answer = {"error": str(error)}
        if not is_silent or any(answer.values()):
            self.send(client, json.dumps({"re": number, **answer}).encode() + b"\n")

    def _flush(self, client: ClientConnection) -> None:
        if client.connection.fileno() < 0:
            return
        try:
            sent = client.connection.send(client.unsent, socket.MSG_NOSIGNAL) if client.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        del client.unsent[:sent]
        if len(client.unsent) > MAX_UNSENT_BYTES:
            self._drop(client)
        elif client.is_full != bool(client.unsent):
            client.is_full = bool(client.unsent)
            self._poll.modify(client.connection, _INTEREST | (select.EPOLLOUT if client.is_full else 0))

    def _drop(self, client: ClientConnection) -> None:
        self._clients.pop(client.connection.fileno(), None)
        client.subscribed = False
        client.connection.close()  # also leaves the poll


def events_line(texts: list[str]) -> bytes:
    """Return one line that holds these events."""
    return b'{"events":[' + ",".join(texts).encode() + b"]}\n"


def _listen(directory: str) -> socket.socket:
    """Listen, reaching the folder by descriptor: a socket's own path may have only 107 characters."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{folder}/supervisor.sock"
    try:
        if os.path.lexists(path):
            os.unlink(path)  # left by an earlier life: the lock says that there is no other
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    finally:
        os.close(folder)
    listener.listen(_BACKLOG)
    return listener
