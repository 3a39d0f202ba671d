"""What an answer tells of the machine: no folder of the box, of Python or of Triton."""

from __future__ import annotations

import sys

from tritonclient.grpc import service_pb2 as pb

from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox

_PAGES = ("/", "/v1/models", "/v1/models/%s", "/v1/models/%s/queue", "/openapi.json", "/health/ready", "/nothing")
_KSERVE = {
    "ServerMetadata": pb.ServerMetadataRequest(),
    "ModelMetadata": pb.ModelMetadataRequest(name="%s"),
    "ModelConfig": pb.ModelConfigRequest(name="%s"),
    "ModelReady": pb.ModelReadyRequest(name="%s"),
    "ModelInfer": pb.ModelInferRequest(model_name="%s"),
    "ModelStreamInfer": pb.ModelInferRequest(model_name="%s"),
}


def folders(box: AttackedBox) -> str:
    """Every answer and every refusal."""
    secret = {str(box.root), box.root.name, sys.prefix, "site-packages", "tritonserver", ".onnx"}
    answers: dict[str, bytes] = {}
    for path in _PAGES:
        place = path.replace("%s", box.model)
        answers[place] = box.attacker.get(place).body
        answers[f"POST {place}"] = box.attacker.post(place).body
    for path in ("/v2", "/v2/models/%s", "/v2/models/%s/config"):
        place = path.replace("%s", box.model)
        answers[place] = box.attacker.get(place, address=box.triton_http).body
    answers["/metrics"] = box.attacker.get("/metrics", address=box.state.metrics).body
    for name, message in _KSERVE.items():
        for field in ("name", "model_name"):
            if hasattr(message, field):
                setattr(message, field, box.model)
        call = box.attacker.kserve(name, message)
        answers[name] = b"".join(call.answers) + call.details.encode()
    for name, answer in answers.items():
        told = [text for text in secret if text.encode() in answer]
        expect(not told, f"{name} tells {told}: {answer[:200]!r}")
    return f"{len(answers)} answers tell no folder"


ATTACKS = (Attack("folders in answers", "R21", folders),)
