"""What a node's log says of its broker, by what its consumer tells."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
import structlog

from workers.link.inbox import PlacementInbox
from workers.settings import NodeSettings

REFUSED = "OperationalError: Authentication required."


@pytest.mark.parametrize(
    ("trouble", "told"), [(REFUSED, []), ("ConnectionError: nobody answers", ["broker.unreachable"])]
)
def test_a_consumer_from_before_the_login_is_refused_without_a_word(
    tmp_path: Path, trouble: str, told: list[str]
) -> None:
    nudged = threading.Event()
    settings = NodeSettings("alpha", "http://127.0.0.1:1", "token", tmp_path, broker_url="redis://127.0.0.1:1/0")
    inbox = PlacementInbox(settings, lambda _: None, nudged.set)
    reader = threading.Thread(target=inbox.run_socket)
    with structlog.testing.capture_logs() as lines:
        reader.start()
        inbox.log_in("node.alpha", "word")
        with socket.socket(socket.AF_UNIX) as consumer:
            consumer.connect(str(tmp_path / "bell.sock"))
            consumer.sendall(b"".join(json.dumps(one).encode() + b"\n" for one in (["unreachable", trouble], ["ring"])))
            assert nudged.wait(10)
        inbox.close()
        reader.join(10)
    assert [line["event"] for line in lines] == told
