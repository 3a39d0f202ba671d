"""One ModelStreamInfer call: each of its requests becomes a separate stream to Triton.

So each request is admitted, counted, cancelled and ended separately. One connection cannot use more of the box than
many connections can.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from appliance.auth.scope import Scope
from appliance.errors import ApplianceError
from appliance.gateway.access.request_quota import current
from appliance.gateway.access_log import Record, report_bug
from appliance.gateway.answering.answer import Answer
from appliance.gateway.kserve.request import PassedRequest, error_text, failed_response
from appliance.gateway.refusals import ClientGoneError, ShuttingDownError
from appliance.gateway.rpc.client import client_field
from appliance.gateway.rpc.door import identify
from appliance.gateway.rpc.failure import status_of, text_of
from appliance.gateway.services import Services
from appliance.gateway.triton.methods import SERVICE, STREAM
from appliance.gateway.triton.tensors import error as error_of
from appliance.within import within

# In addition to the running requests: the limit of requests from a client that does not read its error responses.
_UNREAD_REFUSALS = 64


class Stream:
    """See the module."""

    def __init__(self, services: Services, context: Any, request_id: str, timeout_s: float) -> None:
        """Create the stream of a call.

        Args:
            services: what the front ends share.
            context: the call's servicer context.
            request_id: the call's id in the log.
            timeout_s: seconds that each of its requests may take.
        """
        self._services = services
        self._context = context
        self._request_id = request_id
        self._timeout_s = timeout_s
        self._running: set[asyncio.Task[None]] = set()
        self._unanswered_bytes = 0
        # gRPC accepts only one message at a time.
        self._writing = asyncio.Lock()
        self._stalled = asyncio.Event()
        self._is_first = True

    async def run(self, requests: Any) -> None:
        """Answer until the client has sent its last request and received the last answer.

        Raises:
            ClientGoneError: the client stopped reading.
            ShuttingDownError: the gateway drains; running requests have finished or received the error.
        """
        reader = asyncio.create_task(self._read(requests))
        stalled = asyncio.create_task(self._stalled.wait())
        draining = asyncio.create_task(self._services.in_flight.wait_draining())
        try:
            await asyncio.wait({reader, stalled, draining}, return_when=asyncio.FIRST_COMPLETED)
            if self._stalled.is_set():
                raise ClientGoneError("the client stopped reading")
            if reader.done():
                return reader.result()
            # The drain itself ends these when their time is over.
            await asyncio.gather(*self._running)
            raise ShuttingDownError("the box is shutting down", hint="try again in a moment")
        finally:
            ending = [reader, stalled, draining, *self._running]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def _read(self, requests: Any) -> None:
        limit = self._services.settings.max_requests + _UNREAD_REFUSALS
        limit_bytes = self._services.settings.max_body_bytes
        async for message in requests:
            # Unread error responses keep their requests in memory: together they may hold only as much as one message.
            while self._running and (
                len(self._running) >= limit or self._unanswered_bytes + len(message) > limit_bytes
            ):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._carry(message))
            self._running.add(task)
            self._unanswered_bytes += len(message)
            task.add_done_callback(functools.partial(self._answered, len(message)))
        await asyncio.gather(*self._running)

    def _answered(self, size_bytes: int, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._unanswered_bytes -= size_bytes

    async def _carry(self, message: bytes) -> None:
        """Answer one request; errors are sent within the stream, as Triton does."""
        record = self._services.record(self._request_id, method="grpc", path=f"{SERVICE}/{STREAM}", stream=True)
        record.fields |= client_field(self._services.clients, self._context)
        failure: ApplianceError | None
        request_id = ""
        try:
            with self._counted(record), current().holding(len(message)):
                self._services.in_flight.check_open()
                passed = PassedRequest.from_bytes(message)
                request_id = passed.request_id
                label = self._services.models.label(passed.model)
                record.fields |= label
                request = passed.forwarded(label.get("model"), self._timeout_s, is_unary=False)
                with self._services.answering.forward(record, request) as answer:
                    failure = await self._pass_on(answer)
        except ApplianceError as error:
            failure = error
            await self._tell(error, request_id)
        except asyncio.CancelledError:
            record.close(status="CANCELLED")
            raise
        except Exception as error:  # noqa: BLE001  the process boundary
            failure = report_bug(self._request_id, error)
            await self._tell(failure, request_id)
        if failure is None:
            record.close(status="OK")
        else:
            record.close(status=status_of(failure).name, error=type(failure).__name__)

    def _counted(self, record: Record) -> contextlib.AbstractContextManager[Any]:
        """Count a request against the principal's limits. Access control has counted the call as its first request.

        Each request is authenticated again: a key may have been revoked while the stream was open.
        """
        principal = identify(self._services.door, self._context)
        record.fields["principal"] = principal.name
        if self._is_first:
            self._is_first = False
            return contextlib.nullcontext()
        return self._services.door.admitting(principal, (Scope.INFER,))

    async def _pass_on(self, answer: Answer[bytes]) -> ApplianceError | None:
        """Forward the answer; return the error that Triton put into it, which the client has already received."""
        failure = None
        while (response := await answer.read()) is not None:
            if (text := error_text(response)) is not None:
                failure = error_of(text)
            try:
                await answer.write(self._write_alone(response))
            except ClientGoneError:
                # The write did not finish, so the client cannot receive the answers to its other requests either.
                self._stalled.set()
                raise
        return failure

    async def _write_alone(self, response: bytes) -> None:
        async with self._writing:
            await self._context.write(response)

    async def _tell(self, error: ApplianceError, request_id: str) -> None:
        """Write an error response, with a time limit: `InFlight` does not watch this write."""
        if isinstance(error, ClientGoneError):
            return
        try:
            await within(
                self._services.settings.write_timeout_s, self._write_alone(failed_response(text_of(error), request_id))
            )
        except asyncio.TimeoutError:
            self._stalled.set()
