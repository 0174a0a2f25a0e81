"""Bodies that end too early or come encoded, and clients that are gone before they are answered, at a real server."""

import gzip
import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.up.embedded.servers import ServerSet
from scheduler.identity import Role
from tests.support import api as in_process
from tests.support import waiting
from tests.support.api_process import serving
from tests.support.servers import Seeds, connect

WHOLE = b'[{"command": ["true"]}]' + b" " * 1000
"""It is JSON however much of its end is missing."""
HALF = WHOLE[: len(WHOLE) // 2]
BOUNDARY = "limit"
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: text/plain\r\n'
    f"\r\nthe content\r\n--{BOUNDARY}--\r\n"
).encode()


@dataclass(frozen=True, slots=True)
class Served:
    """A real server, the same API in this process, and the folder where files are stored."""

    url: str
    api: in_process.Api
    folder: Path


@pytest.fixture(scope="module")
def served(servers: ServerSet, migrated: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with connect(servers.database_url) as db:
        migrated.restore(db)  # the default workspace is this folder, not that of an earlier test
    folder: Path = tmp_path_factory.mktemp("cut-off")
    with (
        serving(servers.database_url, servers.broker_url, folder, API_WORKERS="1") as url,
        in_process.serving(servers.database_url, folder) as api,
    ):
        api.a_token("worker", None)
        yield Served(url, api, folder)


def spoken(
    served: Served, path: str, headers: dict[str, str], body: bytes, caller: str = "submitter"
) -> tuple[int, bytes]:
    """Send a request exactly as it is, end the sending, and return status and answer."""
    address = ("127.0.0.1", int(served.url.rpartition(":")[2]))
    own = {"Host": "x", "Authorization": f"Bearer {served.api.secrets[caller]}", "Accept": "application/json"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**own, **headers}.items())
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        told = b""
        while piece := connection.recv(65536):
            told += piece
    return int(told.split()[1]), told


def stored(served: Served) -> list[str]:
    return [path.name for path in (served.folder / "files").rglob("*") if path.is_file()]


def kept(served: Served) -> tuple[int, int]:
    """How many files and jobs there are."""
    return served.api.value("SELECT count(*) FROM files"), served.api.value("SELECT count(*) FROM jobs")


TARGETS = {
    "raw": ("/files/?file_name=a.bin", "application/octet-stream", WHOLE, "submitter"),
    "form": ("/files/", f"multipart/form-data; boundary={BOUNDARY}", FORM, "submitter"),
    "json": ("/jobs/", "application/json", WHOLE, "submitter"),
    "output": (
        "/node/files/?execution_id=1&attempt=1&token=x&output=o&file_name=f&media_type=text/plain",
        "application/octet-stream",
        WHOLE,
        "worker",
    ),
}


@pytest.mark.parametrize("target", ["raw", "form", "json"])
@pytest.mark.parametrize("missing", [1, 500])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_ends_too_early_is_refused_and_nothing_is_kept(
    served: Served, target: str, missing: int, chunked: bool
) -> None:
    path, media_type, whole, caller = TARGETS[target]
    cut = whole[: max(len(whole) - missing, len(whole) // 2)]
    headers = {"Content-Type": media_type}
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
        cut = f"{len(whole):x}\r\n".encode() + cut
    else:
        headers["Content-Length"] = str(len(whole))
    before = kept(served)
    status, told = spoken(served, path, headers, cut, caller)
    assert status == 400, told
    assert b"incomplete-body" in told, told
    assert (kept(served), stored(served)) == (before, [])


def test_chunks_without_their_last_one_are_refused(served: Served) -> None:
    path, media_type, whole, _ = TARGETS["raw"]
    body = f"{len(whole):x}\r\n".encode() + whole + b"\r\n"
    status, told = spoken(served, path, {"Content-Type": media_type, "Transfer-Encoding": "chunked"}, body)
    assert (status, b"incomplete-body" in told, stored(served)) == (400, True, [])


def test_a_valid_digest_does_not_save_a_body_that_was_cut(served: Served) -> None:
    digest = hashlib.sha256(HALF).hexdigest()
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(WHOLE))}
    status, told = spoken(served, f"/files/?file_name=a&sha256={digest}", headers, HALF)
    assert (status, stored(served)) == (400, []), told


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("encoding", ["gzip", "deflate, gzip", "br"])
def test_an_encoded_body_is_refused_and_the_answer_says_what_is_taken(
    served: Served, target: str, encoding: str
) -> None:
    path, media_type, whole, caller = TARGETS[target]
    packed = gzip.compress(whole)
    headers = {"Content-Type": media_type, "Content-Length": str(len(packed)), "Content-Encoding": encoding}
    status, told = spoken(served, path, headers, packed, caller)
    assert status == 415, told
    assert b"Accept-Encoding: identity" in told
    assert stored(served) == []


def test_a_part_of_a_form_in_base64_is_refused(served: Served) -> None:
    part = FORM.replace(b"Content-Type: text/plain", b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64")
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": str(len(part))}
    status, told = spoken(served, "/files/", headers, part)
    assert (status, stored(served)) == (415, []), told


def test_a_form_without_its_last_boundary_is_refused(served: Served) -> None:
    cut = FORM[:-10]
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": str(len(cut))}
    status, told = spoken(served, "/files/", headers, cut)
    assert (status, stored(served)) == (400, []), told


def test_identity_is_no_encoding_and_a_whole_body_is_taken(served: Served) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "3", "Content-Encoding": "identity"}
    status, told = spoken(served, "/files/?file_name=a", headers, b"abc")
    assert status == 201, told
    chunks = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
    status, told = spoken(served, "/files/?file_name=a", chunks, b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
    assert status == 201, told
    assert b'"file_size":6' in told.replace(b" ", b"")
    served.api.change("DELETE FROM files")
    for path in (served.folder / "files").rglob("*"):
        if path.is_file():
            path.unlink()


def test_roles_stay_what_they_were(served: Served) -> None:
    served.api.a_token("reader", Role.VIEWER)
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "3"}
    assert spoken(served, "/files/?file_name=a", headers, b"abc", "reader")[0] == 403


LOST = """SELECT (SELECT count(*) FROM job_specs WHERE jsonb_exists(labels, 'unanswered.lost'))
          + (SELECT count(*) FROM workflows WHERE jsonb_exists(given, 'unanswered.lost'))"""


@pytest.mark.parametrize("kind", ["compute", "jobs", "workflows"])
def test_what_a_client_asked_for_that_was_gone_is_not_made_twice_when_it_asks_again(served: Served, kind: str) -> None:
    api, name = served.api, f"lost/{kind}"
    api.a_type(name)
    address, body = {
        "compute": (f"/compute/orgs/{api.rt.settings.organization}/{name}", {"parameters": {}}),
        "jobs": ("/projects/1/jobs", {"type": name}),
        "workflows": ("/projects/1/workflows", {"definition": f"jobs: {{a: {{type: {name}}}}}"}),
    }[kind]
    content = json.dumps(body).encode()
    count = "SELECT count(*) FROM jobs j JOIN job_types t ON t.id = j.job_type_id WHERE t.name = :name"

    def ask() -> str:
        head = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        status, told = spoken(served, address, head, content)
        assert status in {202, 303}, told
        return told.decode()

    before = api.value(LOST)
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=30) as gone:
        head = f"Host: x\r\nAuthorization: Bearer {api.secrets['submitter']}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
        gone.sendall(f"POST {address} HTTP/1.1\r\n{head}\r\n\r\n".encode() + content)
    waiting.eventually(lambda: api.value(LOST) > before)
    ask()
    assert api.value(count, name=name) == 1
