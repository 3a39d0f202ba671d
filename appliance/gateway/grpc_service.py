"""Our gRPC API: chat and completion as server streams. A call that its client cancels frees its slot."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from appliance.errors import ApplianceError, EngineError
from appliance.gateway import grpc_messages
from appliance.gateway.access.visit import current
from appliance.gateway.access_log import Record, log, request_id
from appliance.gateway.completion import CompletionRequest
from appliance.gateway.desk import Desk
from appliance.gateway.error_table import outcome, param
from appliance.gateway.in_flight import Exchange
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceServicer

Prepare = Callable[[str, float | None], Awaitable[CompletionRequest]]


class InferenceService(InferenceServiceServicer):
    """Implements `appliance.v1.InferenceService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Chat(self, request: pb.ChatRequest, context: Any) -> None:  # noqa: N802  the schema's name
        """Answer a conversation."""

        async def prepare(identity: str, timeout_s: float | None) -> CompletionRequest:
            messages = grpc_messages.conversation(request)
            model = self._desk.models.get(request.model)
            sampling = grpc_messages.settings(request.sampling, model.manifest.generation)
            ids = await model.encode_chat(messages)
            return self._desk.request(
                identity, model, ids, sampling, stream=True, timeout_s=timeout_s, prompt_param="messages"
            )

        await self._answer("Chat", prepare, context)

    async def Complete(self, request: pb.CompleteRequest, context: Any) -> None:  # noqa: N802  the schema's name
        """Continue a prompt."""

        async def prepare(identity: str, timeout_s: float | None) -> CompletionRequest:
            checked = grpc_messages.check_complete(request)
            model = self._desk.models.get(checked.model)
            sampling = grpc_messages.settings(checked.sampling, model.manifest.generation)
            as_text = checked.WhichOneof("prompt") == "text"
            ids = await model.encode_text(checked.text) if as_text else model.check_ids(checked.token_ids.ids)
            return self._desk.request(identity, model, ids, sampling, stream=True, timeout_s=timeout_s)

        await self._answer("Complete", prepare, context)

    async def _answer(self, method: str, prepare: Prepare, context: Any) -> None:
        """Run one call: its errors become a status, its request id comes back in the trailers."""
        metadata = dict(context.invocation_metadata() or ())
        record = Record(request_id(metadata.get("x-request-id")), method="grpc", path=method)
        record.fields["principal"] = current().principal.name
        context.set_trailing_metadata((("x-request-id", record.request_id),))
        failure: ApplianceError | None = None
        try:
            with self._desk.in_flight.admit() as exchange:
                failure = await self._run(prepare, context, exchange, record)
        except ApplianceError as error:
            failure = error
        except asyncio.CancelledError:
            record.close(status="CANCELLED")
            raise
        except Exception:  # noqa: BLE001  the process boundary
            log.exception("bug", extra={"fields": {"request_id": record.request_id}})
            failure = EngineError("the gateway failed; its log says why")
        if failure is None:
            record.close(status="OK")
            return
        status = outcome(failure).grpc
        record.close(status=status.name, error=type(failure).__name__)
        trailers = [("x-request-id", record.request_id)]
        if name := param(failure):
            trailers.append(("x-error-param", name.encode("ascii", "replace").decode()))
        await context.abort(status, str(failure), tuple(trailers))

    async def _run(self, prepare: Prepare, context: Any, exchange: Exchange, record: Record) -> ApplianceError | None:
        """Carry the completion; returns what ended it early when that was not raised by Triton."""
        request = await prepare(f"grpc-{uuid.uuid4().hex}", context.time_remaining())
        record.fields |= {"model": request.model, "answer_id": request.request_id}
        record.fields["prompt_tokens"] = len(request.prompt_ids)
        alternatives = request.sampling.get("logprobs")
        clock = asyncio.get_running_loop().time
        try:
            stream = exchange.attach(await self._desk.triton.open(request))
            while (delta := await stream.read()) is not None:
                record.first_token()
                if delta.usage is not None:
                    record.fields["completion_tokens"] = delta.usage.completion_tokens
                exchange.writing_since = clock()
                await context.write(grpc_messages.chunk(delta, alternatives))
                exchange.writing_since = None
        except asyncio.CancelledError:
            # Either the client went away, or it stopped reading and the exchange was abandoned.
            if exchange.reason is None:
                raise
            return exchange.reason
        return None
