"""The supervisor's journal: which runs it was asked to start, and how each of them ended.

It is an append-only file of lines `crc32 json`. A plain write is enough, without fsync: the journal has to survive the
death of processes, and written pages do. After a loss of power the boot id differs, no process is left, and the
scheduler has long taken this node's executions away: a missing tail says nothing wrong. A torn last line is cut off.

An entry goes `intent` (about to be started; never to be started again), `started`, `ended`, until it is forgotten.
"""

import binascii
import contextlib
import json
import os
from typing import Any, Final

from workers.supervisor import syscalls
from workers.supervisor.request import RunKey

_RESERVED_BYTES: Final = 1 << 20  # kept on disk beforehand, so that outcomes can be written on a full disk
_COMPACT_ABOVE_BYTES: Final = 1 << 19
_COMPACT_FACTOR: Final = 4  # times what is still needed

_write_json: Final = json.JSONEncoder(separators=(",", ":")).encode


class RunJournal:
    """The entries of all runs that are not forgotten yet. Used by one thread."""

    def __init__(self, path: str) -> None:
        """Read what an earlier life wrote. Raises `OSError`."""
        self._path = path
        self._texts: dict[RunKey, str] = {}  # the last event of each phase, as JSON; "" for an intent
        self._ended: set[RunKey] = set()
        self._phases: dict[str, list[str]] = {}
        self._lines: list[bytes] = []
        self.boot: str | None = None
        for record in _read(path):
            self._replay(record)
        self._descriptor = -1
        self._size = 0
        self._compact()

    def begin(self, boot: str) -> None:
        """Record a new life of the supervisor."""
        self._append({"ev": "life", "boot": boot})
        self.boot = boot
        self.flush()

    def knows(self, key: RunKey) -> bool:
        """Whether this run was ever requested, and not forgotten since."""
        return key in self._texts

    def is_ended(self, key: RunKey) -> bool:
        """Whether it ended."""
        return key in self._ended

    def last_event(self, key: RunKey) -> str:
        """Return the last event of a run as JSON, `""` where it was only intended. Raises `KeyError`."""
        return self._texts[key]

    def runs(self) -> list[RunKey]:
        """Return all runs, in the order in which they were requested."""
        return list(self._texts)

    def intend(self, keys: list[RunKey]) -> None:
        """Record, on disk at once, that these are about to be started. Raises `OSError`; then none is recorded."""
        self._append({"ev": "intent", "runs": keys})
        try:
            self.flush()
        except OSError:
            self._lines.pop()
            raise
        for key in keys:
            self._enter(key, "")

    def record(self, event: dict[str, Any]) -> str:
        """Record a `started` or `ended` event, on disk at the next `flush`. Returns it as JSON."""
        text = _write_json(event)
        self._lines.append(_line(text))
        self._enter((event["tree"], event["phase"]), text)
        if event["ev"] == "ended":
            self._ended.add((event["tree"], event["phase"]))
        return text

    def forget(self, tree: str) -> None:
        """Forget a tree, on disk at the next `flush`. May be repeated."""
        if tree in self._phases:
            self._append({"ev": "forgotten", "tree": tree})
            self._drop(tree)

    def flush(self) -> None:
        """Write what was recorded. Raises `OSError`; then nothing is lost, and the next flush tries again."""
        if not self._lines:
            return
        block = b"".join(self._lines)
        try:
            written = os.write(self._descriptor, block)
            if written != len(block):
                raise OSError(f"only {written} of {len(block)} bytes were written")  # noqa: TRY301
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += written
        self._lines.clear()
        if self._size > _COMPACT_ABOVE_BYTES:
            self._compact_if_worthwhile()

    def _append(self, record: dict[str, Any]) -> None:
        self._lines.append(_line(_write_json(record)))

    def _enter(self, key: RunKey, text: str) -> None:
        if key not in self._texts:
            self._phases.setdefault(key[0], []).append(key[1])
        self._texts[key] = text

    def _drop(self, tree: str) -> None:
        for phase in self._phases.pop(tree, []):
            self._texts.pop((tree, phase))
            self._ended.discard((tree, phase))

    def _replay(self, record: dict[str, Any]) -> None:
        match record["ev"]:
            case "life":
                self.boot = record["boot"]
            case "intent":
                for tree, phase in record["runs"]:
                    self._enter((tree, phase), "")
            case "forgotten":
                self._drop(record["tree"])
            case event:
                key = (record["tree"], record["phase"])
                self._enter(key, _write_json(record))
                if event == "ended":
                    self._ended.add(key)

    def _compact_if_worthwhile(self) -> None:
        if self._size > _COMPACT_FACTOR * sum(map(len, self._texts.values())):
            # On a full disk the long file serves as well as a short one.
            with contextlib.suppress(OSError):
                self._compact()

    def _compact(self) -> None:
        """Write what is still needed to a new file and put it in the place of the old one."""
        new = f"{self._path}.new"
        intended = {"ev": "intent", "runs": [key for key, text in self._texts.items() if not text]}
        texts = [json.dumps({"ev": "life", "boot": self.boot}), json.dumps(intended), *self._texts.values()]
        block = b"".join(_line(text) for text in texts if text)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.suppress(OSError):  # not every file system can
                syscalls.reserve(descriptor, max(_RESERVED_BYTES, 2 * len(block)))
            if os.write(descriptor, block) != len(block):
                raise OSError(f"{new}: short write")  # noqa: TRY301
            os.rename(new, self._path)
        except OSError:
            os.close(descriptor)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = descriptor, len(block)


def _line(text: str) -> bytes:
    body = text.encode()
    return b"%08x %s\n" % (binascii.crc32(body), body)


def _read(path: str) -> list[dict[str, Any]]:
    """Return the records whose checksum is right; a torn line stands last, and nothing valid follows it."""
    records = []
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as lines:
        for line in lines:
            checksum, _, body = line.rstrip(b"\n").partition(b" ")
            if checksum == b"%08x" % binascii.crc32(body):
                records.append(json.loads(body))
    return records
