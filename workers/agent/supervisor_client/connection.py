"""One connection to one supervisor: requests are answered in any order, messages arrive unasked. Nothing is repeated here."""

import contextlib
import itertools
import json
import queue
import socket
import threading
from collections.abc import Callable
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
    """One socket with its reading thread: answers go to who asked, events to `deliver`, from that thread.

    The last thing that is delivered is the connection itself: it is lost. A thread of its own sends what the socket
    does not take at once; most of the time it has nothing to do.
    """

    def __init__(
        self, connected: socket.socket, deliver: "Callable[[list[SupervisorMessage] | SupervisorConnection], None]"
    ) -> None:
        self._socket = connected
        self._deliver = deliver
        self._file = connected.makefile("rb")
        self._numbers = itertools.count(1)
        self._change = threading.Condition()
        self._unsent = bytearray()
        self._waiting: dict[int, Callable[[SupervisorMessage | None], None]] = {}
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

    def begin(self, *, starts: bool) -> None:
        """Start reading and subscribe, to starts as well if asked to."""
        threading.Thread(target=self._read, name="supervisor events", daemon=True).start()
        threading.Thread(target=self._send_rest, name="supervisor orders", daemon=True).start()
        self.ask({"op": "subscribe", "starts": starts})

    def post(self, message: SupervisorMessage, answered: Callable[[SupervisorMessage | None], None]) -> None:
        """Send a message without waiting. `answered` is called with its answer from the reading thread; None: it is lost.

        There is none to a `silent` message if it would say nothing. Raises `SupervisorLostError`.
        """
        with self._change:  # numbers are sent in order
            if self._lost:
                raise SupervisorLostError("the supervisor is gone")
            number = next(self._numbers)
            data = _write_line({"id": number, **message})
            self._waiting[number] = answered
            if self._unsent:
                self._unsent += data
                return
            try:
                sent = self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise SupervisorLostError(str(error)) from error
            if sent < len(data):
                self._unsent += data[sent:]
                self._change.notify()

    def ask(self, message: SupervisorMessage) -> SupervisorMessage:
        """Send a message and return its answer. Raises `SupervisorLostError`, and `ValueError` if refused."""
        answers: queue.SimpleQueue[SupervisorMessage | None] = queue.SimpleQueue()
        self.post(message, answers.put)
        try:
            answer = answers.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            raise SupervisorLostError(f"no answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        if answer is None:
            raise SupervisorLostError("the supervisor is gone")
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def close(self) -> None:
        """Close; the threads end by themselves."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _send_rest(self) -> None:
        """Send what did not go at once, in order, for as long as there is a supervisor."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._unsent or self._lost)
                if self._lost:
                    return
                data = bytes(self._unsent)
            try:
                sent = self._socket.send(data, socket.MSG_NOSIGNAL)
            except OSError:
                return  # the reading thread notices, too
            with self._change:
                del self._unsent[:sent]

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._file:
                message = _read_line(line)
                if message.get("events"):
                    self._deliver(message["events"])
                if "re" in message:
                    self._answer(message)
        with self._change:
            self._lost = True
            waiting, self._waiting = self._waiting, {}
            self._change.notify()
        for answered in waiting.values():
            answered(None)
        self._file.close()
        self._socket.close()
        self._deliver(self)

    def _answer(self, message: SupervisorMessage) -> None:
        """Pass an answer on. Answers come in order: what was asked before and is silent so far stays so."""
        number = message["re"] or 0
        with self._change:
            answered = self._waiting.get(number)
            for before in list(itertools.takewhile(lambda each: each <= number, self._waiting)):
                del self._waiting[before]
        if answered is not None:
            answered(message)


def _write_line(message: SupervisorMessage) -> bytes:
    """Return a message as a line, fast unless it holds text that is none in Unicode."""
    try:
        return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(message).encode() + b"\n"


def _read_line(line: bytes) -> SupervisorMessage:
    """Read one line of the supervisor, fast unless it holds text that is none in Unicode."""
    try:
        message: SupervisorMessage = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = json.loads(line)
    return message
