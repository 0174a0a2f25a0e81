"""Every way a call of the client can go wrong; str() is one sentence for a person."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from ganger.documents import JsonObject


class ClientError(Exception):
    """A call did not do what was asked."""


class UsageError(ClientError):
    """A command or a call was used wrongly; nothing was sent. `field` is the option or field that is at fault."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class NotConfigured(UsageError):
    """No place says where the API is, or a place that says so cannot be read.

    `missed` says of each place that was read what it lacks; it is empty where a place could not be read.
    """

    def __init__(self, sentence: str, *, missed: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.missed = tuple(missed)


class Unreachable(ClientError):
    """No API answers at the address, or the connection broke and stayed broken. Whether the call was carried out is not known."""


class Refused(ClientError):
    """The API answered no. `kind` is a stable slug to branch on, `field` the part of the request that is at fault.

    `document` is the answer's body, where it was JSON.
    """

    def __init__(
        self,
        sentence: str,
        *,
        status: int,
        kind: str = "error",
        field: str | None = None,
        request_id: str | None = None,
        document: JsonObject | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind
        self.field = field
        self.request_id = request_id
        self.document = document

    @property
    def code(self) -> int:
        """The HTTP status, by the name it has in the answer's body."""
        return self.status


class InvalidRequest(Refused):
    """The request itself is wrong; repeating it unchanged will not help."""


class NotFound(Refused):
    """The thing that was asked for does not exist, or it belongs to another project."""


class Gone(NotFound):
    """The thing was there, and is kept no longer."""


class Denied(Refused):
    """The request has no token, or an invalid one, or the role of its token does not allow this."""


class Conflict(Refused):
    """The thing exists, but its state forbids what was asked; or an idempotency key was used for another request."""


class ServerTrouble(Refused):
    """The API could not do it now; the request may have been fine."""


class TimedOut(ClientError):
    """The time to wait is over, and the awaited change has not happened; the job goes on."""


CLASSES: dict[int, type[Refused]] = {
    HTTPStatus.BAD_REQUEST: InvalidRequest,
    HTTPStatus.UNAUTHORIZED: Denied,
    HTTPStatus.FORBIDDEN: Denied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.GONE: Gone,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidRequest,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidRequest,
}


def refusal(status: int, sentence: str, document: JsonObject | None = None) -> Refused:
    """Return the error that a status stands for, with what the body says of it."""
    body = document or {}
    fallback = ServerTrouble if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Refused
    chosen = CLASSES.get(status, fallback)
    return chosen(
        sentence,
        status=status,
        kind=str(body.get("kind") or "error"),
        field=body.get("field"),
        request_id=body.get("request_id"),
        document=document,
    )
