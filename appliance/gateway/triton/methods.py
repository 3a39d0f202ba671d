"""Which methods of `inference.GRPCInferenceService` are open to clients. Values only."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

_DESCRIPTOR = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
SERVICE: str = _DESCRIPTOR.full_name

INFER = "ModelInfer"
STREAM = "ModelStreamInfer"
# Answered at once: they pass on without admission.
QUESTIONS = frozenset({"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelConfig"})
# All others that Triton has: they load models, map memory, trace, and tell what other clients do.
ADMINISTRATION = frozenset(method.name for method in _DESCRIPTOR.methods) - QUESTIONS - {INFER, STREAM}
