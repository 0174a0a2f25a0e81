"""What is fuzzed at the API: query strings, headers, bodies and forms. No request, however odd, gets a 500 or no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.api import Api

Sender = Callable[[Api, bytes], Any]
LISTS = (
    "/jobs/",
    "/files/",
    "/nodes/",
    "/job-types/",
    "/pools/",
    "/workspaces/",
    "/errors/",
    "/load/",
    "/job-executions/",
)
HEADERS = ("Range", "If-Range", "If-None-Match", "If-Match", "Accept", "Content-Type", "Host", "X-Request-Id", "Last-Event-ID",
           "Idempotency-Key", "Authorization", "Content-Encoding", "X-Forwarded-For", "Cookie", "Accept-Language")  # fmt: skip


def _sent(api: Api, method: str, path: str, **named: Any) -> Any:
    headers = {
        "Accept": "application/json",
        "Authorization": f"Bearer {api.secrets['admin']}",
        **named.pop("headers", {}),
    }
    return api.app.test_client().open(path, method=method, headers=headers, **named)


def query(api: Api, data: bytes) -> Any:
    """The first byte chooses the list, the others are its query string."""
    return _sent(api, "GET", LISTS[data[0] % len(LISTS)] if data else "/jobs/", query_string=data[1:].decode("latin-1"))


def header(api: Api, data: bytes) -> Any:
    """The first byte chooses the header, the others are its value."""
    name = HEADERS[data[0] % len(HEADERS)] if data else "Range"
    value = data[1:].decode("latin-1").replace("\r", " ").replace("\n", " ").replace("\0", " ")
    file_id = api.value("SELECT min(id) FROM files")
    return _sent(api, "GET", f"/files/{file_id}/content/", headers={name: value})


def form(api: Api, data: bytes) -> Any:
    """A form with the boundary b."""
    return _sent(api, "POST", "/files/", data=data, content_type="multipart/form-data; boundary=b")


def form_type(api: Api, data: bytes) -> Any:
    """A usual form whose media type is odd."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    value = data.decode("latin-1").replace("\r", " ").replace("\n", " ")
    return _sent(api, "POST", "/files/", data=body, content_type=f"multipart/form-data; {value}")


def body(api: Api, data: bytes) -> Any:
    """The first byte chooses the address, the others are a JSON body."""
    places = (
        "/jobs/",
        "/job-types/",
        "/jobs/cancel/",
        "/pools/",
        "/errors/",
        "/workspaces/",
        "/admin/projects/",
        "/admin/tokens/",
    )
    place = places[data[0] % len(places)] if data else "/jobs/"
    return _sent(
        api,
        "POST",
        place,
        data=data[1:],
        content_type="application/json",
        query_string={"dry_run": "true"} if place == "/jobs/" else None,
    )


def path(api: Api, data: bytes) -> Any:
    """An address."""
    return _sent(api, "GET", "/" + data.decode("latin-1").lstrip("/"))


SENDERS: dict[str, Sender] = {
    "query": query,
    "header": header,
    "form": form,
    "form-type": form_type,
    "body": body,
    "path": path,
}
