"""Submissions without a key that clients send again: what they are known by, and whether a client can still hear its answer.

digest = repeated.digest(call)                       # None with a key: that tells repeats by itself
made = repeats.earlier(call.rt, digest) or ...       # the job of the first time
repeated.note(call, digest, job_id=made)             # before the answer is sent
"""

from __future__ import annotations

import hashlib
import socket

import orjson
from flask import g, request

from api.http.routing import ApiCall
from scheduler.identifiers import JobId
from scheduler.lookup import repeats
from scheduler.store.lookup.unanswered import UnansweredKind

KEY = "Idempotency-Key"


def digest(call: ApiCall) -> str | None:
    """Return what tells this request from others: who sends it, where to, and its body. None where a key does."""
    if KEY in request.headers:
        return None
    return hashlib.sha256(orjson.dumps([call.caller.token_id, request.path, g.body])).hexdigest()


def sent(call: ApiCall, *what: str) -> str:
    """Return what tells a request for a file or a project from others: who sends it, where to, its key, and what it says."""
    told = [call.caller.token_id, request.path, request.headers.get(KEY), *what]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()


def note_of(call: ApiCall, kind: UnansweredKind, object_id: int) -> None:
    """Note of a file or a project that the client that sent it is gone, if it is."""
    if is_gone():
        repeats.unheard_of(call.rt, kind, object_id)


def note(call: ApiCall, known_by: str | None, job_id: JobId | None = None, run_id: int | None = None) -> None:
    """Note of what this request has just made that its client is gone, if it is: then a repeat may come at once."""
    if known_by is not None and is_gone():
        repeats.unheard(call.rt, job_id, run_id)


def is_gone() -> bool:
    """Tell whether the client has closed its connection: whoever speaks HTTP closes nothing before the answer, not even one half."""
    connection = request.environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return False
    try:
        # Not by the connection's own method, which waits for the client.
        return socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
