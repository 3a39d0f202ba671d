"""The methods of `inference.GRPCInferenceService` that clients may call. Values only."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

_DESCRIPTOR = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
SERVICE: str = _DESCRIPTOR.full_name

INFER = "ModelInfer"
STREAM = "ModelStreamInfer"
# Triton answers these immediately, so they need no admission.
QUESTIONS = frozenset({"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelConfig"})
# All other methods of Triton: they load models, map memory, trace, and show what other clients do.
ADMINISTRATION = frozenset(method.name for method in _DESCRIPTOR.methods) - QUESTIONS - {INFER, STREAM}
