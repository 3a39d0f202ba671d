"""The endpoints of Triton's HTTP API: generate, health and metadata. All others cause an error that names them."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from tritonclient.grpc import service_pb2 as pb

from appliance.errors import RequestError, UnavailableError, UnknownModelError
from appliance.gateway.http.answer import HttpAnswer
from appliance.gateway.http.body import body_for_model
from appliance.gateway.http.event_stream import Pulse
from appliance.gateway.http.rim import record_of
from appliance.gateway.refusals import ForbiddenMethodError
from appliance.gateway.services import Services
from appliance.gateway.triton.forwarded import ForwardedRequest
from appliance.gateway.triton_http.failure import failure_event
from appliance.gateway.triton_http.generate_encoder import GenerateEncoder
from appliance.gateway.triton_http.generate_request import generate_request
from appliance.triton.model_process import VERSION

Answer = TypeVar("Answer", bound=Message)
_METHODS = ["GET", "POST"]
# These load models, map memory, trace, change the log, and show what other clients do.
_ADMINISTRATION = (
    "/v2/repository/{rest:path}",
    "/v2/systemsharedmemory/{rest:path}",
    "/v2/cudasharedmemory/{rest:path}",
    "/v2/trace/{rest:path}",
    "/v2/logging",
    "/v2/models/stats",
    "/v2/models/{model}/stats",
    "/v2/models/{model}/trace/{rest:path}",
    "/v2/models/{model}/versions/{version}/stats",
)


class TritonHttpApi:
    """The endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[BaseRoute]:
        """All endpoints of Triton; those for administration are rejected."""
        routes: list[BaseRoute] = [Route(path, self.administration, methods=_METHODS) for path in _ADMINISTRATION]
        routes += [
            Route("/v2", self.server, methods=["GET"]),
            Route("/v2/health/live", self.live, methods=["GET"]),
            Route("/v2/health/ready", self.ready, methods=["GET"]),
        ]
        for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            routes += [
                Route(model, self.metadata, methods=["GET"]),
                Route(f"{model}/ready", self.model_ready, methods=["GET"]),
                Route(f"{model}/config", self.config, methods=["GET"]),
                Route(f"{model}/generate", self.generate, methods=["POST"]),
                Route(f"{model}/generate_stream", self.generate_stream, methods=["POST"]),
                Route(f"{model}/infer", self.infer, methods=["POST"]),
            ]
        return routes

    async def live(self, _request: Request) -> Response:
        """`GET /v2/health/live`: the gateway runs."""
        return Response()

    async def ready(self, _request: Request) -> Response:
        """`GET /v2/health/ready`: a request would be accepted now."""
        self._services.check_ready()
        return Response()

    async def model_ready(self, request: Request) -> Response:
        """`GET /v2/models/{model}/ready`."""
        model = self._model(request)
        if not self._services.readiness.is_ready(model):
            raise UnavailableError(f"not ready: {model}")
        return Response()

    async def server(self, _request: Request) -> Response:
        """`GET /v2`: Triton's name, version and extensions."""
        found = await self._ask("ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse)
        return JSONResponse({"name": found.name, "version": found.version, "extensions": list(found.extensions)})

    async def metadata(self, request: Request) -> Response:
        """`GET /v2/models/{model}`: its inputs and outputs."""
        asked = pb.ModelMetadataRequest(name=self._model(request))
        found = await self._ask("ModelMetadata", asked, pb.ModelMetadataResponse)
        return JSONResponse(
            {
                "name": found.name,
                "versions": list(found.versions),
                "platform": found.platform,
                "inputs": [_tensor(one) for one in found.inputs],
                "outputs": [_tensor(one) for one in found.outputs],
            }
        )

    async def config(self, request: Request) -> Response:
        """`GET /v2/models/{model}/config`, without the parameters, which contain paths of the box."""
        asked = pb.ModelConfigRequest(name=self._model(request))
        config = (await self._ask("ModelConfig", asked, pb.ModelConfigResponse)).config
        config.ClearField("parameters")
        fields = MessageToDict(config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        for tensor in (*fields["input"], *fields["output"]):
            # Protobuf writes 64-bit integers as strings, Triton as numbers.
            tensor["dims"] = [int(size) for size in tensor["dims"]]
        return JSONResponse(fields)

    async def generate(self, request: Request) -> Any:
        """`POST /v2/models/{model}/generate`."""
        return await self._generate(request, streams=False)

    async def generate_stream(self, request: Request) -> Any:
        """`POST /v2/models/{model}/generate_stream`."""
        return await self._generate(request, streams=True)

    async def infer(self, request: Request) -> Response:
        """`POST /v2/models/{model}/infer`: Triton itself does not support it for decoupled models."""
        raise RequestError(
            f"{self._model(request)} is a decoupled model, which infer does not support",
            hint="use generate, generate_stream, or gRPC's ModelStreamInfer",
        )

    async def administration(self, request: Request) -> Response:
        """Reject all requests that administer Triton."""
        raise ForbiddenMethodError(
            f"{request.url.path} is not available to clients",
            hint="only the operator can change models and settings: see appliance --help",
        )

    async def _generate(self, request: Request, *, streams: bool) -> HttpAnswer[bytes]:
        model = self._model(request)
        record = record_of(request)
        record.fields |= {"model": model, "stream": streams}
        message = generate_request(model, await body_for_model(request, self._services), streams=streams)
        forwarded = ForwardedRequest(message, model, self._services.settings.timeout_s)
        answering = self._services.answering.forward(record, forwarded)
        pulse = Pulse.of(self._services.settings) if streams else None
        return HttpAnswer(answering, GenerateEncoder(), record, failure_event, pulse=pulse)

    def _model(self, request: Request) -> str:
        """The name of the model in the path.

        Raises:
            UnknownModelError: there is no model of this name, or not in this version.
        """
        name = self._services.models.get(request.path_params["model"]).name
        version = request.path_params.get("version", VERSION)
        if version != VERSION:
            raise UnknownModelError(f"{name} has no version {version!r}", hint=f"the only version is {VERSION}")
        return name

    async def _ask(self, method: str, message: Any, kind: type[Answer]) -> Answer:
        return kind.FromString(await self._services.questions.ask(method, message.SerializeToString()))


def _tensor(found: Any) -> dict[str, Any]:
    return {"name": found.name, "datatype": found.datatype, "shape": list(found.shape)}
