"""The shipper: hands over what programs write while they write it, in order, in batches, within half a second.

Only an execution that floods may be further behind: it rests after each piece, so that others are not held up. One
thread ships for all executions of the node. The report of an execution waits until its last output is shipped. That
wait ends early only if the API answers but does not accept output.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scheduler.errors import GangerError
from scheduler.identifiers import NodeId
from scheduler.wire import OutputChunk, OutputChunks
from workers import log
from workers.api_client import ApiClient, JitteredBackoff, ServerRefused, ServerUnreachable
from workers.output import masking
from workers.output import progress as progress_reports
from workers.output.log_file import PIECE_BYTES, LogFile
from workers.output.masking import SecretMask
from workers.output.order import OutputSequence
from workers.output.progress import ProgressTracker
from workers.paths import STREAMS, ExecutionKey, Paths
from workers.supervisor.limits import PHASES
from workers.supervisor.output_order import SUFFIX
from workers.supervisor.request import RunRequest

_POLL_S: Final = 0.5
_BATCH_BYTES: Final = 512 << 10
"""Raw bytes in one call. As base64 in JSON they are less than 1 MiB, which is the most that the API accepts."""
_FLOOD_BYTES: Final = 128 << 10
"""An execution that has this much to send at once rests afterwards."""
_RESTS: Final = 5
"""It rests this many times as long as the sending took: a flood costs the API and its database as much as the node."""
_RESTS_AT_THE_END: Final = 1
_PATIENCE_S: Final = 60.0
"""How long an execution that has ended waits for an API that answers but refuses its output."""
_MOST_PIECES: Final = 2_000
"""In one call, of which the API takes 5,000."""
_TAIL_BYTES: Final = 600
"""Longer lines cannot be progress lines."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of one file, from `offset` on."""

    writer: _Writer
    file: LogFile
    offset: int
    data: bytes


@dataclass(slots=True)
class _Writer:
    """The programs of one execution.

    `left` bytes of its cap are not used yet. `ending` is the monotonic time at which its end was asked for. After a
    flood it rests until `rests_until`.
    """

    key: ExecutionKey
    uid: int | None
    cap: int
    left: int
    mask: SecretMask | None
    files: dict[str, LogFile] = field(default_factory=dict)
    sequences: dict[str, OutputSequence] = field(default_factory=dict)
    ending: float | None = None
    rests_until: float = 0.0

    def hold(self, paths: Paths, phase: str, streams: Mapping[str, str]) -> None:
        """Take what a command wrote to streams that have no file."""
        for name, text in streams.items():
            self._file(paths, phase, name).content = text.encode("latin-1")

    def find_all(self, paths: Paths) -> None:
        """Take all the files that there may be."""
        for phase in PHASES:
            for name in STREAMS:
                self._file(paths, phase, name)

    def _file(self, paths: Paths, phase: str, name: str) -> LogFile:
        path = paths.log(self.key, phase, name)
        return self.add(path, phase, name)

    def add(self, path: str, phase: str, name: str) -> LogFile:
        """Take this file, if it is not known yet."""
        if name == STREAMS[0]:
            self.sequences.setdefault(phase, OutputSequence(path + SUFFIX))
        return self.files.setdefault(path, LogFile(self.key, phase, name, path))

    def stretches(self) -> list[tuple[LogFile, int]]:
        """Return what is to be shipped in order: a file, and the byte until which to ship it now."""
        found: list[tuple[LogFile, int]] = []
        for file in [one for one in list(self.files.values()) if one.shipped < 0]:
            file.read_shipped()
            self.left -= file.shipped
        for phase, sequence in list(self.sequences.items()):
            files = {file.name: file for file in list(self.files.values()) if file.phase == phase}
            sizes = {name: file.size() for name, file in files.items()}
            due = [name for name, file in files.items() if sizes[name] > file.shipped]
            if len(due) == len(STREAMS):
                shipped = {name: files[name].shipped for name in due}
                found += [(files[one.stream], one.end) for one in sequence.stretches(sizes, shipped)]
                found += [(files[name], sizes[name]) for name in due]
            else:
                found += [(files[name], sizes[name]) for name in due]
        return found

    def next_piece(self, file: LogFile, reached: dict[str, int], end: int, room: int) -> _Piece | None:
        """Return what is to be sent of a file, up to `end`; `reached` is how far the pieces before it have come, by path."""
        start = reached.get(file.path, file.shipped)
        if file.marked or end <= start:
            return None
        left = self.left - sum(to - self.files[path].shipped for path, to in reached.items())
        if left > 0:
            data = file.read(start, min(room, left, PIECE_BYTES, end - start)) if room > 0 else b""
            if self.mask is not None:
                whole = self.ending is not None and start + len(data) >= file.size()
                data = _masked(data, self.mask, whole=whole, cut=len(data) == left)
            reached[file.path] = start + len(data)
        elif reached:
            return None  # the next time, when these have arrived
        else:
            file.cut()
            data = file.ending(self.cap, self.mask) if self.ending is not None else b""
        return _Piece(self, file, start, data) if data else None


class OutputShipper:
    """Follows the output files of everything that runs here."""

    def __init__(
        self,
        api: ApiClient,
        paths: Paths,
        progress: ProgressTracker,
        node_id: Callable[[], NodeId],
        claim_token: Callable[[ExecutionKey], str],
        shipped: Callable[[ExecutionKey], None],
    ) -> None:
        """`shipped` is called from the shipper's thread, once per execution that had to be waited for.

        While `node_id` returns 0 the node is not registered, and nothing is sent. `claim_token` returns an execution's token.
        """
        self._api, self._paths, self._progress, self._shipped = api, paths, progress, shipped
        self._lock = threading.Lock()
        self._writers: dict[ExecutionKey, _Writer] = {}
        self._wake = threading.Event()
        self._stopped = False
        self._next_round = 0.0
        self._node_id, self._claim_token = node_id, claim_token

    def follow(self, key: ExecutionKey, run: RunRequest) -> None:
        """Follow the output of this command, from where an earlier life had stopped."""
        with self._lock:
            writer = self._writers.get(key)
            if writer is None:
                # Where output may stand in a journal, there are no secrets.
                mask = None if run.keep_output_bytes else masking.read(key, self._paths)
                cap = run.limits.output_bytes or 0
                writer = self._writers[key] = _Writer(key, run.uid, cap, cap, mask)
            for name, path in (("stdout", run.stdout), ("stderr", run.stderr)):
                writer.add(path, run.phase, name)

    def keep(self, key: ExecutionKey, phase: str, streams: Mapping[str, str]) -> None:
        """Ship what a command wrote that has ended, where it stands in no file: a byte a character, by stream."""
        with self._lock:
            writer = self._writers.get(key)
            if writer is not None:
                writer.hold(self._paths, phase, streams)

    def finish(
        self, key: ExecutionKey, output_bytes: int, kept: Mapping[str, Mapping[str, str]], *, all_known: bool
    ) -> bool:
        """Nothing more will be written. Return True if everything is shipped already, else `shipped` is called later.

        `kept` is what stands in no file, by phase and stream. Unless `all_known`, there may be output of commands whose end an earlier life of the agent has seen.
        """
        with self._lock:
            writer = self._writers.get(key)
            if writer is None:
                writer = _Writer(key, None, output_bytes, output_bytes, masking.read(key, self._paths))
                self._writers[key] = writer
            if not all_known:
                writer.find_all(self._paths)
                for phase, streams in kept.items():
                    writer.hold(self._paths, phase, streams)
            if all(file.is_done() for file in writer.files.values()):
                del self._writers[key]
                return True
            writer.ending = time.monotonic()
        self._wake.set()
        return False

    def drop(self, key: ExecutionKey) -> None:
        """Forget an execution. Output that is not shipped yet is dropped."""
        with self._lock:
            self._writers.pop(key, None)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        """Ship until stopped."""
        backoff = JitteredBackoff(most_s=5.0)
        while not self._stopped:
            try:
                wait = 0.0 if self._ship_once() else self._idle_s()
                backoff.reset()
            except ServerUnreachable as trouble:
                self._give_up_refused(trouble)
                wait = backoff.wait_s()
            if wait:
                self._wake.wait(wait)
                self._wake.clear()

    def _ship_once(self) -> bool:
        """Send one batch and see which executions are done; return whether there is more to send."""
        if not self._node_id():
            self._next_round = time.monotonic() + _POLL_S
            return False
        began = time.monotonic()
        writers = self._due(began)
        pieces = self._gather(writers)
        if pieces:
            self._send(pieces)
        for writer in writers:
            self._settle(writer)
        now = time.monotonic()
        sent = Counter[int]()
        for piece in pieces:
            writer = piece.writer
            sent[id(writer)] += len(piece.data)
            is_flood = sent[id(writer)] >= _FLOOD_BYTES
            rests = 0 if not is_flood else _RESTS if writer.ending is None else _RESTS_AT_THE_END
            writer.rests_until = now + min((now - began) * rests, _POLL_S) if rests else 0.0
        return bool(pieces)

    def _due(self, now: float) -> list[_Writer]:
        """Return the executions to look at: in every round all of them, in between those that end or had more to send."""
        everybody = now >= self._next_round
        if everybody:
            self._next_round = now + _POLL_S
        with self._lock:
            return [
                writer
                for writer in self._writers.values()
                if writer.rests_until <= now and (everybody or writer.ending is not None or writer.rests_until)
            ]

    def _gather(self, writers: list[_Writer]) -> list[_Piece]:
        """Return the next pieces to send, at most a batch, and read the progress files of these executions."""
        pieces: list[_Piece] = []
        room = _BATCH_BYTES
        for writer in writers:
            reached: dict[str, int] = {}
            for file, end in writer.stretches():
                piece = writer.next_piece(file, reached, end, room)
                if piece is None:
                    continue
                pieces.append(piece)
                room -= len(piece.data)
                if writer.mask is None and piece.offset + len(piece.data) < end:
                    break  # what was written after it comes after it
            if writer.ending is None:
                self._progress.update(writer.key, progress_reports.read_file(writer.key, self._paths, writer.uid))
            if room <= 0 or len(pieces) >= _MOST_PIECES:
                self._next_round = 0.0  # the next round begins at once, as some were not looked at
                break
        return pieces

    def _idle_s(self) -> float:
        """Return the seconds until there may be something to send again."""
        now = time.monotonic()
        with self._lock:
            resting = [writer.rests_until for writer in self._writers.values() if writer.rests_until > now]
        return max(0.0, min([self._next_round, *resting]) - now)

    def _send(self, pieces: list[_Piece]) -> None:
        now = time.time()
        chunks = [_chunk(piece, self._claim_token(piece.file.key), now) for piece in pieces]
        try:
            self._api.output(OutputChunks(node_id=self._node_id(), chunks=chunks))
        except (ServerRefused, GangerError) as error:
            log.logger().warning(log.OUTPUT_GIVEN_UP, why=str(error), bytes=sum(len(piece.data) for piece in pieces))
        for piece in pieces:
            writer, file = piece.writer, piece.file
            if file.cut_at is not None:
                file.marked = True
                continue
            file.record_shipped(file.shipped + len(piece.data))
            writer.left -= len(piece.data)
            if file.name == "stdout" and file.phase == "job":
                self._read_progress(writer, file, piece.data)

    def _read_progress(self, writer: _Writer, file: LogFile, piece: bytes) -> None:
        text = file.tail + piece
        end = text.rfind(b"\n") + 1
        self._progress.update(writer.key, progress_reports.last_line(text[:end]))
        file.tail = text[end:] if len(text) - end <= _TAIL_BYTES else b""

    def _settle(self, writer: _Writer) -> None:
        if writer.ending is not None and all(file.is_done() for file in list(writer.files.values())):
            self._done(writer)

    def _done(self, writer: _Writer) -> None:
        with self._lock:
            known = self._writers.pop(writer.key, None)
        if known is not None:
            self._shipped(writer.key)

    def _give_up_refused(self, trouble: ServerUnreachable) -> None:
        if not trouble.answered:
            return
        with self._lock:
            writers = list(self._writers.values())
        for writer in writers:
            if writer.ending is not None and time.monotonic() - writer.ending > _PATIENCE_S:
                log.logger().warning(log.OUTPUT_GIVEN_UP, execution=writer.key[0], why=str(trouble))
                self._done(writer)


def _masked(piece: bytes, mask: SecretMask, *, whole: bool, cut: bool) -> bytes:
    """Return the piece without secrets. A possible beginning of one is left for later, unless `whole` or `cut` end it."""
    unsure = 0 if whole else mask.unsure(piece)
    sure = mask.hide(piece[: len(piece) - unsure])
    return sure + b"*" * unsure if cut else sure


def _chunk(piece: _Piece, token: str, now: float) -> OutputChunk:
    file = piece.file
    phase: Any = file.phase  # Any: `OutputChunk` checks that it is the name of a phase
    name: Any = file.name  # Any: likewise
    return OutputChunk(
        execution_id=file.key[0],
        attempt=file.key[1],
        token=token,
        phase=phase,
        stream=name,
        offset=piece.offset,
        at=now,
        data=base64.b64encode(piece.data).decode(),
    )
