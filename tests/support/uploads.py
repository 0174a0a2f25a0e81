"""An API that can sign links, a job type that takes files, and the requests of a client that uploads what a job awaits."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode, urlsplit

from scheduler import keyring
from tests.support.api import Answer, Api, serving

INTERFACE = {
    "input_data": [
        {"name": "table", "type": "file", "media_types": ["text/csv"]},
        {"name": "extra", "type": "files", "required": False},
        {"name": "word", "type": "property", "required": False},
    ]
}


@contextmanager
def signing(database_url: str, tmp_path: Path, **settings: Any) -> Iterator[Api]:
    """The API with a key, and the type `takes-files`."""
    keys = keyring.parse(token_urlsafe(32), "a test")
    with serving(database_url, tmp_path, keys=keys, **settings) as api:
        api.a_type("takes-files", interface=INTERFACE, mem_mult_required=1, disk_out_mult_required=1)
        yield api


def awaiting(api: Api, *awaits: Any, **fields: Any) -> Any:
    """A new job that awaits these inputs: its detail."""
    return api.a_job(job_type={"name": "takes-files"}, awaits=list(awaits or ("table",)), **fields)


def url_of(job: Any, name: str = "table") -> str:
    return str(next(one for one in job["awaits"] if one["name"] == name)["upload_url"])


def send(api: Api, method: str, url: str, body: bytes | None = None, **more: Any) -> Answer:
    """Send a request to a link, as somebody without a token."""
    parts = urlsplit(url)
    query = parts.query
    own = more.pop("query", None)
    if own:
        query = f"{query}&{urlencode(own)}"
    client = api.app.test_client()
    headers = more.pop("headers", {})
    if body == b"":
        more.setdefault("environ_overrides", {})["CONTENT_LENGTH"] = "0"  # the test client leaves it out
    answer: Answer = client.open(f"{parts.path}?{query}", method=method, data=body, headers=headers, **more)
    return answer


def put(api: Api, url: str, body: bytes, content_type: str | None = None) -> Answer:
    return send(api, "PUT", url, body, content_type=content_type)


def block_id(number: int) -> str:
    """The name of a block as clients of block storage make them: base64 of 32 digits."""
    return base64.b64encode(f"{number:032}".encode()).decode()


def put_block(api: Api, url: str, number: int, body: bytes) -> Answer:
    return send(api, "PUT", url, body, query={"comp": "block", "blockid": block_id(number)})


def listed(numbers: Sequence[int], word: str = "Latest") -> bytes:
    lines = "\n".join(f"  <{word}>{block_id(number)}</{word}>" for number in numbers)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<BlockList>\n{lines}\n</BlockList>'.encode()


def put_list(api: Api, url: str, numbers: Sequence[int], **more: Any) -> Answer:
    return send(
        api, "PUT", url, listed(numbers), query={"comp": "blocklist"}, content_type="text/plain; charset=UTF-8", **more
    )


def tell(api: Api, job: Any) -> Any:
    """Say that all is uploaded; the job's detail."""
    answer = api.send("POST", f"/jobs/{job['id']}/uploaded/", b"", content_type="application/octet-stream")
    assert answer.status_code == 200, answer.text
    return answer.json


def look(api: Api, job: Any) -> Any:
    return api.get(f"/jobs/{job['id']}/").json


def stored(tmp_path: Path) -> set[str]:
    """Every file beneath the workspace, with its content's digest."""
    root = tmp_path / "files"
    return {f"{path.relative_to(root)}" for path in root.rglob("*") if path.is_file()}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
