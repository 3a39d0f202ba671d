"""The key of a plan: all that the plan depends on. Its digest names the plan's folder.

Plans with different keys have different folders, so a plan cannot be mistaken for another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.artefact.manifest import Manifest
from appliance.capacity import Cache
from appliance.errors import UsageError

_NAME_DIGITS = 32


@dataclass(frozen=True)
class Profile:
    """The shapes that a plan serves.

    Attributes:
        slots: maximum number of sequences that decode concurrently.
        context_tokens: longest prompt plus completion.
        chunk_tokens: maximum number of prompt tokens in one prefill step.

    Raises:
        UsageError: a value is less than 1, or the chunk is longer than the context.
    """

    slots: int
    context_tokens: int
    chunk_tokens: int

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise UsageError(f"a plan's {name} must be at least 1, not {value}")
        if self.chunk_tokens > self.context_tokens:
            raise UsageError(
                f"a chunk of {self.chunk_tokens} tokens is larger than the context of {self.context_tokens}",
                hint=f"build with --chunk {self.context_tokens} or less, or with a longer --context",
            )

    @property
    def capacity_tokens(self) -> int:
        """Rows of each slot's cache, one per token."""
        return self.cache(self.slots).rows

    def cache(self, slots: int) -> Cache:
        """The cache that the engine reserves for the plan with this number of slots."""
        return Cache.of_plan(slots, self.context_tokens, self.chunk_tokens)

    def __str__(self) -> str:
        return f"{self.slots} slots, context {self.context_tokens}, chunk {self.chunk_tokens}"


@dataclass(frozen=True)
class PlanKey:
    """All that a plan depends on.

    Attributes:
        graph: sha256 of each file of the graph, by name.
        flavour: which TensorRT, see `Flavour`.
        version: TensorRT's version.
        compute_capability: the GPU's compute capability, such as "8.9".
        driver: the GPU's driver, see `installed_driver`.
        profile: see Profile.
        flags: the builder's settings, as text.
    """

    graph: Mapping[str, str]
    flavour: str
    version: str
    compute_capability: str
    driver: str
    profile: Profile
    flags: tuple[str, ...]

    def to_fields(self) -> dict[str, Any]:
        """The fields as JSON values; equal keys give equal fields."""
        return {**dataclasses.asdict(self), "flags": list(self.flags)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> PlanKey:
        """Parse the output of `to_fields`.

        Raises:
            TypeError, KeyError, AttributeError, UsageError: the fields are not those of a key.
        """
        graph = {str(name): str(digest) for name, digest in fields["graph"].items()}
        profile = Profile(**{name: int(value) for name, value in fields["profile"].items()})
        flags = tuple(str(flag) for flag in fields["flags"])
        return cls(**{**fields, "graph": graph, "profile": profile, "flags": flags})

    def changes_from(self, other: PlanKey) -> str:
        """The differences from another key, to print: "driver 580.95, was 580.82"."""
        changes = [
            ("another graph" if self.graph != other.graph else ""),
            _change("TensorRT", f"{self.flavour} {self.version}", f"{other.flavour} {other.version}"),
            _change("compute capability", self.compute_capability, other.compute_capability),
            _change("driver", self.driver, other.driver),
            _change("profile", str(self.profile), str(other.profile)),
            ("other settings of the builder" if self.flags != other.flags else ""),
        ]
        return "; ".join(filter(None, changes))

    @property
    def name(self) -> str:
        """The first digits of the key's sha256, used as the name of the plan's folder."""
        text = json.dumps(self.to_fields(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_NAME_DIGITS]


def weights_bytes(manifest: Manifest) -> int:
    """Total size of the graph's files.

    Raises:
        IntegrityError: the manifest lists no graph.
    """
    return sum(manifest.file(name).size_bytes for name in manifest.graph_digests())


def _change(what: str, now: str, before: str) -> str:
    return "" if now == before else f"{what} {now}, was {before}"
