"""Requests that wait without a thread, and streams without one: they are parked until the change feed has news for them.

A route that waits looks again each time it is called, and parks while there is nothing new:

    wait = parking.wait_of(query.wait)                 # the wait of this request, however often it is looked at
    return parking.look_until(wait, feed, FeedInterest(job_ids=frozenset({job_id})), look)

`look()` returns what the answer would be, and whether that is news. Once it is, or the wait is over, it is answered. Otherwise the
request is parked, and the route is called anew after a change that concerns it: in a thread, with token and role
checked anew. When the wait is over the poller itself sends the answer of the last look, so that a thousand waits that
end without news cost no thread and no statement.

A stream is parked once, and fed for as long as its client stays (server-sent events of a page, for instance):

    return parking.stream(rt, feed, EventStream(FeedInterest(project_id=...), more), "text/event-stream; charset=utf-8")

`more()` is called in a thread, outside of any request, when the stream begins, after each change that concerns it (at most
twenty times a second), and at least every `every_s`. It returns the bytes to send (b"": only a sign of life), or None to end.
It never runs twice at one time. A stream ends by itself when the token that asked for it is revoked or expires. The feed of
this process is `api_runtime.of_this_app().feed`.

Under a server without our worker (the tests' own client) the thread itself waits, and nothing else is different.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

from flask import Flask, Response, current_app, g, request

from api.http import telemetry
from api.http.answers import dump
from api.http.auth import TokenWatch
from api.http.waiting.parked import EventStream, ParkedRequest, ParkedStream, Wait, WaitRoom, WaitShare
from scheduler.errors import ServiceUnavailable, Unauthorized
from scheduler.feed.change_feed import ChangeFeed, FeedInterest, Watch
from scheduler.runtime import Runtime

T = TypeVar("T")

LONGEST_WAIT_S = 60
MOST_PARKED = 6_000
"""Requests and streams that may wait in one process; the other connections of the worker stay free."""

_ROOM = "ganger.waits"
_SOCKET = "gunicorn.socket"


def install(app: Flask) -> None:
    """Give an app its room for waits."""
    app.extensions[_ROOM] = WaitRoom(MOST_PARKED)


def wait_of(wait_s: float) -> Wait:
    """Return the wait of this request: a new one, or the one that it was parked with. HEAD does not wait."""
    kept = getattr(request.environ.get(_SOCKET), "wait", None)
    if isinstance(kept, Wait):
        return kept
    return Wait(0 if request.method == "HEAD" else min(wait_s, LONGEST_WAIT_S))


def look_until(
    wait: Wait,
    feed: ChangeFeed,
    interest: FeedInterest,
    look: Callable[[], tuple[T, bool]],
    otherwise: Callable[[T, Watch], bytes] | None = None,
    late_status: int = 200,
) -> T:
    """Return what `look` finds once it calls it news, or the wait is over.

    `otherwise` gives the body when the wait ends first, on any thread; without it that is what the last look has found. Such an
    answer has the status `late_status`, if the request was parked; a caller that gives one looks itself at what is returned. Raises
    ServiceUnavailable when as many wait as this process, or one caller, may have waiting.
    """
    while True:
        with wait.watching(feed, interest) as watch:
            found, is_news = look()
            if is_news or watch is None or wait.is_over:
                return found
            if _parks():
                late = _as_it_is(found) if otherwise is None else partial(otherwise, found, watch)
                _park(wait, feed, watch, late, late_status)
            _block(feed, watch, wait.left_s)


def stream(rt: Runtime, feed: ChangeFeed, wanted: EventStream, content_type: str) -> Response:
    """Return a stream as the answer of a route. Raises ServiceUnavailable when as many wait as may."""
    share = _take()
    token, more = TokenWatch(rt), wanted.more

    def while_valid() -> bytes | None:
        try:
            token.check()
        except Unauthorized:
            return None
        return more()

    fed = replace(wanted, more=while_valid)
    head = Response(content_type=content_type, headers={"X-Accel-Buffering": "no"})
    if _parks():
        raise ParkedStream(feed, fed, _finished(head), share)
    head.response = _blocking(feed, fed)
    head.call_on_close(share.give_back)
    return head


def _park(wait: Wait, feed: ChangeFeed, watch: Watch, otherwise: Callable[[], bytes], status: int) -> None:
    """Let the request wait for this watch; never returns."""
    if wait.share is None:
        wait.share = _take()
    count = telemetry.count_later()
    head = Response(status=status, content_type="application/json")
    raise ParkedRequest(wait, feed, watch, _finished(head), otherwise, count)


def _as_it_is(found: object) -> Callable[[], bytes]:
    body = dump(found)
    return lambda: body


def _take() -> WaitShare:
    room: WaitRoom = current_app.extensions[_ROOM]
    share = room.take(g.caller.token_id)
    if share is None:
        raise ServiceUnavailable("as many requests wait as this server holds; ask without waiting, or try again")
    return share


def _parks() -> bool:
    """Tell whether the server at hand parks requests; where it does not, the thread waits."""
    return hasattr(request.environ.get(_SOCKET), "wait")


def _finished(head: Response) -> Response:
    """Return an answer with the headers that every answer of this request has."""
    return current_app.process_response(head)


def _block(feed: ChangeFeed, watch: Watch, left_s: float) -> None:
    woken = threading.Event()
    feed.when_woken(watch, woken.set)
    woken.wait(left_s)


def _blocking(feed: ChangeFeed, wanted: EventStream) -> Iterator[bytes]:
    while True:
        watch = feed.watch(wanted.interest)
        try:
            said = wanted.more()
            if said is None:
                return
            yield said or wanted.beat
            _block(feed, watch, wanted.every_s)
        finally:
            feed.end(watch)
