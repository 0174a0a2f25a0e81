"""Bodies that come from the connection itself: all of them and nothing more, whatever came with the head."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader
from werkzeug.exceptions import ClientDisconnected

from api.http.transfer import WholeBody


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def body_of(connection: socket.socket, with_head: bytes, length: int) -> tuple[Body, WholeBody]:
    unreader = SocketUnreader(connection)
    unreader.unread(with_head)
    body = Body(LengthReader(unreader, length))
    return body, WholeBody(body, length)


@pytest.mark.parametrize("with_head", [b"", b"01", b"0123456789", b"0123456789GET / HTTP/1.1"])
def test_what_came_with_the_head_belongs_to_the_body_as_far_as_it_goes(
    ends: tuple[socket.socket, socket.socket], with_head: bytes
) -> None:
    ours, theirs = ends
    body, whole = body_of(ours, with_head, 10)
    theirs.sendall(b"0123456789"[len(with_head) :] + b"next")
    assert b"".join(whole.pieces()) == b"0123456789"
    assert (body.read(1), body.failed) == (b"", False)
    rest = body.reader.unreader.take_buffered() + ours.recv(100)
    assert rest == with_head[10:] + b"next"


def test_a_body_that_ends_early_is_no_body_and_its_connection_is_not_used_again(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    body, whole = body_of(ours, b"01", 10)
    theirs.sendall(b"23")
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(ClientDisconnected):
        b"".join(whole.pieces())
    assert body.failed


def test_a_body_without_a_byte_asks_for_none(ends: tuple[socket.socket, socket.socket]) -> None:
    _, whole = body_of(ends[0], b"", 0)
    assert list(whole.pieces()) == []
