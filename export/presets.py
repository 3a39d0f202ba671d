"""The presets: named formats of a model's weights. Each was chosen by measurement: docs/presets.md has the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from appliance.artefact.manifest import ORT_CPU, ORT_CUDA, TENSORRT
from export.architecture import Architecture

_FLOAT_BITS = 32
_HALF_BITS = 16
_BYTE_BITS, _NIBBLE_BITS = 8, 4

# A block is as long as the matrix is wide.
WHOLE_ROW = 0

# Types of activations and cache, by numpy's names.
FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
FLOAT16 = "float16"


@dataclass(frozen=True)
class Weights:
    """The format of one matrix, and how it is multiplied.

    Attributes:
        bits: 32 or 16 for plain floats of the activations' type; otherwise 8, 6, 5 or 4 bits per element in blocks
            along the input dimension, with scales of the activations' type. 6 and 5 bits are symmetric.
        block: elements that share one scale: a power of two from 16, or WHOLE_ROW.
        symmetric: without zero points; an asymmetric block has one zero point.
        short_scales: scales are rounded to 16-bit floats, so that the packed graph holds them in 16 bits
            (docs/formats/packed.md). In the artefact they have the activations' type.
        accuracy_level: ONNX Runtime's MatMulNBits attribute: 4 multiplies in int8 with activations quantised block by
            block, 0 multiplies in floats. It is for the CPU; a GPU multiplies in the activations' type.
    """

    bits: int
    block: int = 32
    symmetric: bool = True
    short_scales: bool = False
    accuracy_level: int = 4

    @property
    def is_float(self) -> bool:
        """Whether the matrix is stored as floats, not in blocks."""
        return self.bits in {_FLOAT_BITS, _HALF_BITS}

    @property
    def container_bits(self) -> int:
        """The bits of an element in the graph: ONNX Runtime has 8 and 4 alone, so 6 and 5 bits are kept in bytes."""
        return _BYTE_BITS if _NIBBLE_BITS < self.bits < _BYTE_BITS else self.bits


FLOAT = Weights(bits=_FLOAT_BITS)
HALF = Weights(bits=_HALF_BITS)


@dataclass(frozen=True)
class Exemption:
    """Layer matrices with another format.

    Attributes:
        part: a tensor's name must contain this text, for example ".mlp.".
        weights: the format.
        begin: minimum depth of the layer, 0 to 1.
        end: the depth must be less than this.
    """

    part: str
    weights: Weights
    begin: float = 0.0
    end: float = 1.0

    def covers(self, tensor: str, depth: float) -> bool:
        """Whether this applies to the matrix `tensor` in a layer at `depth`."""
        return self.part in tensor and self.begin <= depth < self.end


@dataclass(frozen=True)
class Kept:
    """Layer matrices that keep the blocks of their GGUF file: the same numbers, without loss.

    Attributes:
        source_type: their type in the checkpoint, see `Checkpoint.source_type`.
        weights: the format whose blocks are those of this type.
    """

    source_type: str
    weights: Weights


@dataclass(frozen=True)
class Rescoring:
    """Rescoring of the likeliest tokens: their logits are computed again, with finer weights than the head's.

    The head is the largest matrix of a small model, and every step reads all of it. Coarse weights are read faster, and
    their errors matter only for the few likely tokens; of the finer weights, only the rows of these tokens are read.

    Attributes:
        tokens: number of the likeliest tokens.
        weights: the format of the finer rows; not floats.
    """

    tokens: int
    weights: Weights


@dataclass(frozen=True)
class Preset:
    """The format of every matrix of a model, and the quality that an export must keep.

    Attributes:
        name: the value of `--preset`.
        summary: one line for the help text: its purpose and its cost.
        max_mean_kl: the export fails above this mean KL divergence from the unquantised checkpoint, in nats per token.
        body: the layers' matrices.
        head: the output head.
        embedding: the token embedding, if it is a separate table.
        exemptions: override `body`; the first that covers a matrix applies.
        kept: override both for matrices of these types, see Kept.
        rescoring: see Rescoring; None for no rescoring.
        runtime: the runtime of the graph, as in the artefact's manifest.
        activations: the type of activations and cache: FLOAT32, BFLOAT16 or FLOAT16.
        emulated: see `twin`.
        finer: the preset that an export takes if the tolerance is missed and the user named no preset; empty for none.
    """

    name: str
    summary: str
    max_mean_kl: float
    body: Weights
    head: Weights
    embedding: Weights
    exemptions: tuple[Exemption, ...] = ()
    kept: tuple[Kept, ...] = ()
    rescoring: Rescoring | None = None
    runtime: str = ORT_CPU
    activations: str = FLOAT32
    emulated: bool = False
    finer: str = ""

    @property
    def twin(self) -> Preset:
        """The same weights for a graph that this machine's CPU can run.

        Every constant has its value in the artefact, and every operator's result is rounded to the activations' type,
        but each operator computes in 32-bit floats.
        """
        return replace(self, runtime=ORT_CPU, emulated=True)

    @property
    def shares_tied_table(self) -> bool:
        """Whether one table serves as embedding and as head if the checkpoint ties them.

        In 32-bit floats, the reference, the head has a copy that a CPU multiplies faster. For quantised tables, ONNX
        Runtime needs one format for lookups and another for matrix products.
        """
        if self.activations == FLOAT32 or self.embedding != self.head:
            return False
        return self.embedding.is_float or self.runtime == TENSORRT

    def held(self, matrix: str, architecture: Architecture) -> Weights:
        """The format of the tensor `matrix`."""
        if matrix == architecture.embedding:
            return self.embedding
        if matrix == architecture.head:
            return self.head
        return self.weights(matrix, architecture.depth(matrix))

    def kept_weights(self, source_types: Collection[str]) -> Weights | None:
        """The format that keeps the blocks of matrices, multiplied together, of these types; None if none does."""
        return next((each.weights for each in self.kept if set(source_types) == {each.source_type}), None)

    def weights(self, tensor: str, depth: float) -> Weights:
        """The format of the layer matrix `tensor`, in a layer at `depth` (0 to 1), if its blocks are not kept."""
        for exemption in self.exemptions:
            if exemption.covers(tensor, depth):
                return exemption.weights
        return self.body


_INT8 = Weights(bits=8, block=128)
_INT8_TABLE = Weights(bits=8, block=32)

# Fewer bytes per token than 8 bits, and fewer instructions than smaller blocks of 4 bits.
_INT4 = Weights(bits=4, block=128, symmetric=False, short_scales=True)

# Activations are quantised in the weights' blocks: in a smaller block, an outlier affects fewer elements.
_INT8_FINE = Weights(bits=8, block=64)
PRECISE = Preset(
    name="precise",
    summary="CPU: almost no quality loss; 8-bit weights in blocks of 64",
    max_mean_kl=0.01,
    body=_INT8_FINE,
    head=_INT8_FINE,
    embedding=_INT8_TABLE,
)

# Small models lose more by each rounding, most of all by that of the activations, which have the weights' blocks.
_INT8_FINEST = Weights(bits=8, block=32, short_scales=True)
FINE = Preset(
    name="fine",
    summary="CPU: for small models, which lose more than others; 8-bit weights in blocks of 32",
    max_mean_kl=0.01,
    body=_INT8_FINEST,
    head=_INT8_FINEST,
    embedding=_INT8_TABLE,
)

_RESCORED = Rescoring(tokens=512, weights=_INT8_TABLE)
BALANCED = Preset(
    name="balanced",
    summary="CPU, the default: fastest with a small quality loss (mean KL up to 0.01); 6-bit weights, 4-bit head",
    max_mean_kl=0.01,
    body=Weights(bits=6, block=64, short_scales=True),
    head=_INT4,
    embedding=_INT8_TABLE,
    kept=(Kept("Q5_0", Weights(bits=5, block=32, short_scales=True)),),
    rescoring=_RESCORED,
    finer=FINE.name,
)

COMPACT = Preset(
    name="compact",
    summary="CPU: a third smaller, faster to decode, visible quality loss; 4-bit feed-forward weights and head",
    max_mean_kl=0.15,
    body=_INT4,
    head=_INT4,
    embedding=_INT8_TABLE,
    exemptions=(Exemption(".self_attn.", _INT8),),
    rescoring=_RESCORED,
)

REFERENCE = Preset(
    name="float32",
    summary="CPU, for comparison: the reference of the quality reports; 32-bit floats; large and slow",
    max_mean_kl=1e-6,
    body=FLOAT,
    head=FLOAT,
    embedding=FLOAT,
)

# Presets for a GPU; docs/presets.md has their loss. An unquantised preset must be almost equal to the checkpoint.
FP16 = Preset(
    name="fp16",
    summary="GPU: weights, activations and cache in float16; finer than bf16; fails if values exceed its range",
    max_mean_kl=0.001,
    body=HALF,
    head=HALF,
    embedding=HALF,
    runtime=ORT_CUDA,
    activations=FLOAT16,
)

BF16 = Preset(
    name="bf16",
    summary="GPU: weights, activations and cache in bfloat16, as the model was trained",
    max_mean_kl=0.001,
    body=HALF,
    head=HALF,
    embedding=HALF,
    runtime=ORT_CUDA,
    activations=BFLOAT16,
    finer=FP16.name,
)

# A GPU dequantises to the activations' type: the quality alone decides the block size, not the CPU's arithmetic.
_GPU_INT8 = Weights(bits=8, block=128, accuracy_level=0)
INT8 = Preset(
    name="int8",
    summary="GPU: 8-bit weights, the rest in bfloat16; half the bytes per token; almost no quality loss",
    max_mean_kl=0.005,
    body=_GPU_INT8,
    head=_GPU_INT8,
    embedding=_INT8_TABLE,
    runtime=ORT_CUDA,
    activations=BFLOAT16,
)

INT4 = Preset(
    name="int4",
    summary="GPU: 4-bit weights in blocks of 32, 8-bit head, the rest in bfloat16; smallest; visible quality loss",
    max_mean_kl=0.15,
    body=Weights(bits=4, block=32, symmetric=False, accuracy_level=0),
    head=_GPU_INT8,
    embedding=_INT8_TABLE,
    runtime=ORT_CUDA,
    activations=BFLOAT16,
)

TENSORRT_FP16 = replace(
    FP16,
    name="tensorrt-fp16",
    summary="TensorRT: like fp16; the box builds the TensorRT plan on its GPU",
    runtime=TENSORRT,
)

TENSORRT_BF16 = replace(
    BF16,
    name="tensorrt-bf16",
    summary="TensorRT: like bf16; the box builds the TensorRT plan on its GPU",
    runtime=TENSORRT,
    finer=TENSORRT_FP16.name,
)

# TensorRT supports 8 bits with one scale per output, 4 bits with one scale per block of 64 or 128, and no zero points.
_SCALED_ROWS = Weights(bits=8, block=WHOLE_ROW)
TENSORRT_INT8 = Preset(
    name="tensorrt-int8",
    summary="TensorRT: 8-bit weights, the rest in bfloat16; half the bytes per token; almost no quality loss",
    max_mean_kl=0.005,
    body=_SCALED_ROWS,
    head=_SCALED_ROWS,
    embedding=_SCALED_ROWS,
    runtime=TENSORRT,
    activations=BFLOAT16,
)

TENSORRT_INT4 = Preset(
    name="tensorrt-int4",
    summary="TensorRT: 4-bit weights in blocks of 64, 8-bit head, the rest in bfloat16; visible quality loss",
    max_mean_kl=0.15,
    body=Weights(bits=4, block=64),
    head=_SCALED_ROWS,
    embedding=_SCALED_ROWS,
    runtime=TENSORRT,
    activations=BFLOAT16,
)

# The default for the CPU.
DEFAULT = BALANCED.name
PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        BALANCED,
        PRECISE,
        FINE,
        COMPACT,
        REFERENCE,
        BF16,
        FP16,
        INT8,
        INT4,
        TENSORRT_BF16,
        TENSORRT_FP16,
        TENSORRT_INT8,
        TENSORRT_INT4,
    )
}
