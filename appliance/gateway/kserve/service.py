"""Serves `inference.GRPCInferenceService`: forwards calls to Triton, within the gateway's own limits.

It is a generic handler: requests arrive as bytes and are re-encoded for Triton; answers of models are forwarded
unchanged. The server's interceptors see every call.
"""

from __future__ import annotations

import functools
from typing import Any

import grpc

from appliance.gateway.kserve import health
from appliance.gateway.kserve.question import answered, asked
from appliance.gateway.kserve.request import PassedRequest
from appliance.gateway.kserve.stream import Stream
from appliance.gateway.refusals import ForbiddenMethodError, UnknownMethodError
from appliance.gateway.rpc.rim import answering
from appliance.gateway.services import Services
from appliance.gateway.triton.methods import ADMINISTRATION, INFER, QUESTIONS, SERVICE, STREAM


class KServeService(grpc.GenericRpcHandler):
    """All methods of the service, including unknown ones."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call, or None if the call belongs to another service."""
        service, _, method = handler_call_details.method.removeprefix("/").rpartition("/")
        if service != SERVICE:
            return None
        if method in QUESTIONS:
            return grpc.unary_unary_rpc_method_handler(functools.partial(self._ask, method))
        if method == INFER:
            return grpc.unary_unary_rpc_method_handler(self._infer)
        if method == STREAM:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        # A stream handler, whatever the method is: it can reject the call before the client's message arrives.
        return grpc.stream_stream_rpc_method_handler(functools.partial(self._refuse, method))

    async def _ask(self, method: str, message: bytes, context: Any) -> Any:
        async with answering(self._services, context, f"{SERVICE}/{method}"):
            if self._services.settings.open_health and method in health.METHODS:
                return health.health(self._services, method, message)
            answer = await self._services.questions.ask(method, asked(method, message), self._timeout_s(context))
            return answered(method, answer)

    async def _infer(self, message: bytes, context: Any) -> Any:
        async with answering(self._services, context, f"{SERVICE}/{INFER}") as record:
            self._services.in_flight.check_open()
            passed = PassedRequest.from_bytes(message)
            label = self._services.models.label(passed.model)
            record.fields |= label
            request = passed.forwarded(label.get("model"), self._timeout_s(context), is_unary=True)
            with self._services.answering.forward(record, request) as answer:
                return await answer.only()

    async def _stream(self, requests: Any, context: Any) -> None:
        async with answering(self._services, context, f"{SERVICE}/{STREAM}", carries_requests=True) as record:
            await Stream(self._services, context, record.request_id, self._timeout_s(context)).run(requests)

    async def _refuse(self, method: str, _requests: Any, context: Any) -> None:
        known = method in ADMINISTRATION
        async with answering(self._services, context, f"{SERVICE}/{method}" if known else f"{SERVICE}/unknown"):
            if known:
                raise ForbiddenMethodError(
                    f"{method} is not available to clients",
                    hint="only the operator can change models and settings: see appliance --help",
                )
            raise UnknownMethodError("this service has no such method")

    def _timeout_s(self, context: Any) -> float:
        left_s: float | None = context.time_remaining()
        limit_s = self._services.settings.timeout_s
        return limit_s if left_s is None else min(left_s, limit_s)
