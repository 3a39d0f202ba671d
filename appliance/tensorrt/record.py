"""The record beside a plan, signed by the box: inputs, tools, GPU and time of the build."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from appliance.derived.box_key import BoxKey
from appliance.derived.signed_record import from_signed, to_signed
from appliance.errors import IntegrityError, UsageError
from appliance.tensorrt.plan_key import PlanKey

FORMAT = 1
_REBUILD = "build it again: appliance tensorrt build MODEL"


@dataclass(frozen=True)
class PlanRecord:
    """The record of one plan that was built on this box.

    Attributes:
        model, target, preset: the artefact that the plan was built from.
        key: see PlanKey.
        gpu: name of the GPU that the plan was built on, to print.
        gpu_uuid: UUID of that GPU.
        size_bytes, sha256: size and digest of the plan.
        seconds: duration of the build.
        peak_bytes: peak main memory of the build's process.
        smoke: figures of the comparison with the reference.
        built_at: time of the build, in UTC.
    """

    model: str
    target: str
    preset: str
    key: PlanKey
    gpu: str
    gpu_uuid: str
    size_bytes: int
    sha256: str
    seconds: float
    peak_bytes: int
    smoke: Mapping[str, float]
    built_at: datetime

    def to_fields(self) -> dict[str, Any]:
        """The fields as JSON values."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields |= {"key": self.key.to_fields(), "smoke": dict(self.smoke), "built_at": self.built_at.isoformat()}
        return fields

    def to_bytes(self, box: BoxKey) -> bytes:
        """The signed record as JSON."""
        return to_signed(self.to_fields(), FORMAT, box)

    @classmethod
    def from_bytes(cls, content: bytes, box: BoxKey, path: str) -> PlanRecord:
        """Parse a record and verify that this box signed it; `path` names it in messages.

        Raises:
            IntegrityError, UnsupportedError: see `from_signed`.
            IntegrityError: a field is missing or wrong.
        """
        document = from_signed(content, FORMAT, box, path, "plan", _REBUILD)
        try:
            key = PlanKey.from_fields(document["key"])
            built_at = datetime.fromisoformat(document["built_at"])
            return cls(**{**document, "key": key, "built_at": built_at})
        except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise IntegrityError(f"{path} is not the record of a plan: {error}", hint=_REBUILD) from error
