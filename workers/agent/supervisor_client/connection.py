"""One connection to one supervisor: requests are answered in any order, messages arrive unasked. Nothing is repeated here."""

import contextlib
import itertools
import json
import queue
import socket
import threading
from typing import Any, Final, TypeAlias

import orjson

from workers.agent.supervisor_client.launch import SupervisorLostError
from workers.supervisor.limits import VERSION

OLDEST: Final = 1
"""The agent also understands supervisors of earlier releases, down to this one: they stay until their jobs have ended."""
ANSWER_TIMEOUT_S: Final = 30.0

SupervisorMessage: TypeAlias = dict[str, Any]
"""An answer, or something that happened; the package describes them."""


class SupervisorVersionError(SupervisorLostError):
    """A supervisor runs here that this agent does not understand. It and its jobs were left as they are."""


class SupervisorConnection:
    """One socket with its reading thread: answers go to who waits for them, events into the queue.

    The last thing in the queue is the connection itself: it is lost.
    """

    def __init__(self, connected: socket.socket, inbox: "Inbox") -> None:
        self._socket = connected
        self._inbox = inbox
        self._file = connected.makefile("rb")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[SupervisorMessage | None]] = {}
        self._lost = False
        self.hello = self._greet()

    def _greet(self) -> SupervisorMessage:
        """Read the first line. Raises `SupervisorLostError` and `SupervisorVersionError`, and closes."""
        try:
            line = self._file.readline()
            hello: SupervisorMessage = json.loads(line) if line else {}
        except OSError:  # it was just ending
            hello = {}
        version = hello.get("version")
        if isinstance(version, int) and OLDEST <= version <= VERSION:
            return hello
        self._file.close()
        self._socket.close()
        if version is None:
            raise SupervisorLostError("the supervisor was just ending")
        raise SupervisorVersionError(
            f"process {hello.get('pid')} speaks version {version} of its protocol, this release {OLDEST} to {VERSION}; "
            "drain the node with the release that it belongs to, or end that process and its jobs"
        )

    def begin(self) -> None:
        """Start reading and subscribe."""
        threading.Thread(target=self._read, name="supervisor events", daemon=True).start()
        self.ask({"op": "subscribe"})

    def ask(self, message: SupervisorMessage) -> SupervisorMessage:
        """Send a message and return its answer. Raises `SupervisorLostError`, and `ValueError` if refused."""
        answers: queue.SimpleQueue[SupervisorMessage | None] = queue.SimpleQueue()
        number = next(self._numbers)
        data = json.dumps({"id": number, **message}).encode() + b"\n"
        with self._lock:
            if self._lost:
                raise SupervisorLostError("the supervisor is gone")
            self._waiting[number] = answers
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise SupervisorLostError(str(error)) from error
        try:
            answer = answers.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            raise SupervisorLostError(f"no answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise SupervisorLostError("the supervisor is gone")
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def close(self) -> None:
        """Close; the reading thread ends by itself."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._file:
                message = _read_line(line)
                if message.get("events"):
                    self._inbox.put(message["events"])
                waiting = self._waiting.get(message.get("re", 0))
                if waiting is not None:
                    waiting.put(message)
        with self._lock:
            self._lost = True
            for answers in self._waiting.values():
                answers.put(None)
        self._file.close()
        self._socket.close()
        self._inbox.put(self)


Inbox: TypeAlias = queue.SimpleQueue[list[SupervisorMessage] | SupervisorConnection]
"""Messages as they came, in batches; a connection in their place says that it is lost."""


def _read_line(line: bytes) -> SupervisorMessage:
    """Read one line of the supervisor, fast unless it holds text that is none in Unicode."""
    try:
        message: SupervisorMessage = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = json.loads(line)
    return message
