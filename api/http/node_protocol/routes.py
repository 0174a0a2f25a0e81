"""The node protocol: what nodes and scheduler say to each other, over HTTP. A node reaches it for itself alone."""

from __future__ import annotations

from flask import Response, g
from pydantic import ValidationError
from typing_extensions import TypedDict

from api.http import api_runtime, auth, transfer
from api.http.answers import Answer
from api.http.files.routes import BYTES, DOWNLOAD, send
from api.http.files.schema import BulkQuery, OutputQuery
from api.http.routing import ApiCall, Routes
from api.http.schema import answers
from api.http.schema.fields import Body
from scheduler import wire
from scheduler.errors import InvalidInput
from scheduler.executions import node_protocol
from scheduler.files import bulk_outputs, files
from scheduler.files.files import NewOutput
from scheduler.identifiers import Epoch, FileId, NodeId
from scheduler.nodes import identity, registration
from scheduler.runtime import Runtime

routes = Routes("node protocol")

_DESCRIPTION_BYTES = 1024 * 1024
"""Room for the description of a bulk of files, beside their contents."""


class LeaveBody(Body):
    """A node that stops in an orderly way and holds nothing."""

    node_id: NodeId
    epoch: Epoch


class OutputFilesAnswer(TypedDict):
    """The ids of files that were taken in, in the order of the request."""

    file_ids: list[FileId]


class OutputFileAnswer(TypedDict):
    """The id of a file that was taken in."""

    file_id: FileId


def _batch(rt: Runtime) -> int:
    return rt.settings.max_jobs_body


@routes.post("/node/register/", role="node", answers={200: wire.Registered})
def node_register(call: ApiCall, body: wire.NodeRegistration) -> wire.Registered:
    """Register a node, at its start and whenever it is told that it was replaced.

    It needs a join token, or the credential that the node has proposed before; every other call needs that credential.
    """
    g.secrets = (body.credential,) if body.credential else ()
    answer = registration.register(call.rt, call.caller, body)
    users = api_runtime.of_this_app().broker_users
    user = None if users is None else users.admit(call.rt, answer.node_id, body.name)
    return answer.model_copy(update={"broker_user": user})


@routes.post("/node/beat/", role="node", answers={200: wire.HeartbeatAnswer})
def node_beat(call: ApiCall, body: wire.HeartbeatBody) -> wire.HeartbeatAnswer:
    """Sign of life; answers with cancels and with placements not yet claimed."""
    identity.require(call.rt, call.caller, body.node_id)
    if call.caller.credential is not None:
        plain = node_protocol.plain_beat(call.rt, api_runtime.of_this_app().heartbeats, body, call.caller.credential)
        if plain is not None:
            return plain
        auth.caller(call.rt, anew=True)  # it was believed until now, for the statement asks for itself
    return node_protocol.beat(call.rt, body, by_token=call.caller.node_id is None)


@routes.post("/node/claim/", role="node", body_limit=_batch, answers={200: wire.ClaimAnswer})
def node_claim(call: ApiCall, body: wire.ClaimBatch) -> wire.ClaimAnswer:
    """Claim placements; granted ones come with all that is needed to run them."""
    identity.require(call.rt, call.caller, body.node_id)
    return node_protocol.claim(call.rt, body)


@routes.post("/node/report/", role="node", body_limit=_batch, answers={200: wire.ReportAnswer})
def node_report(call: ApiCall, body: wire.ReportBatch) -> wire.ReportAnswer:
    """Report ends of executions."""
    identity.require(call.rt, call.caller, body.node_id)
    return node_protocol.report(call.rt, body)


@routes.post("/node/exchange/", role="node", body_limit=_batch, answers={200: wire.ExchangeAnswer})
def node_exchange(call: ApiCall, body: wire.NodeExchange) -> wire.ExchangeAnswer:
    """Ends, starts and claims of a node in one call; the answer has the news that a heartbeat would bring."""
    identity.require(call.rt, call.caller, body.node_id)
    return node_protocol.exchange(call.rt, body)


@routes.post("/node/output/", role="node", body_limit=_batch, answers={200: None})
def node_output(call: ApiCall, body: wire.OutputChunks) -> dict[str, object]:
    """Bring what programs print."""
    identity.require(call.rt, call.caller, body.node_id)
    node_protocol.store_output(call.rt, body, by_token=call.caller.node_id is None)
    return {}


@routes.post("/node/leave/", role="node", answers={200: None})
def node_leave(call: ApiCall, body: LeaveBody) -> dict[str, object]:
    """Leave: the node holds nothing and stops."""
    identity.require(call.rt, call.caller, body.node_id)
    registration.leave(call.rt, body.node_id, body.epoch)
    return {}


@routes.get(
    "/node/files/<id:file_id>/content/",
    role="node",
    answers={200: DOWNLOAD, 206: DOWNLOAD, 304: None, 412: answers.Problem, 416: answers.Problem},
)
def node_input(call: ApiCall, file_id: FileId) -> Response:
    """The content of a file that an execution of this node reads, whole or a range of it."""
    identity.require_file(call.rt, call.caller, file_id)
    return send(call, file_id)


@routes.post(
    "/node/files/",
    role="node",
    request_body={"required": True, "content": {"application/octet-stream": BYTES}},
    answers={201: OutputFileAnswer},
)
def node_add_output(call: ApiCall, query: OutputQuery) -> Answer[OutputFileAnswer]:
    """Bring an output file of a running attempt; it is seen once the attempt's report is accepted."""
    g.secrets = (query.token,)
    new = NewOutput(
        query.execution_id, query.attempt, query.token, query.output, query.file_name, query.media_type, query.sha256
    )
    file_id = files.add_output(call.rt, call.caller, new, transfer.body_pieces(call.rt.settings.max_upload))
    return Answer({"file_id": file_id}, 201)


@routes.post(
    "/node/files/bulk/",
    role="node",
    request_body={"required": True, "content": {"application/octet-stream": BYTES}},
    answers={201: OutputFilesAnswer},
)
def node_add_outputs(call: ApiCall, query: BulkQuery) -> Answer[OutputFilesAnswer]:
    """Bring many small output files of a running attempt: their description as JSON, then their contents, in order."""
    body = b"".join(transfer.body_pieces(wire.MAX_BULK_BYTES + _DESCRIPTION_BYTES))
    try:
        message = wire.BulkOutputs.model_validate_json(body[: query.described])
    except ValidationError as error:
        raise InvalidInput(f"the description of the files is not understood: {error.errors()[0]['msg']}") from None
    g.secrets = (message.token,)
    content, at = body[query.described :], 0
    if len(content) != sum(one.size for one in message.files):
        raise InvalidInput("the contents are not as long as the description says")
    contents = []
    for one in message.files:
        contents.append(content[at : at + one.size])
        at += one.size
    return Answer({"file_ids": bulk_outputs.add_outputs(call.rt, call.caller, message, contents)}, 201)
