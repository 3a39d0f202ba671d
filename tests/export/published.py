"""What was published of decoding on Jetson modules, and what the prediction's arithmetic says to the same models.

Figures: TensorRT Edge-LLM 0.9.0, its page "Performance Benchmarks", vanilla decoding; JetPack 7.2. Its chats begin with
prompts of 51 to 61 tokens on average; how long the answers were is not said, so the cache is counted at the least.
`python -m tests.export.published` prints the tables of docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.artefact.manifest import TENSORRT
from appliance.targets import Board, targets
from bench.gpu.random_checkpoint import RandomCheckpoint
from export.architecture import describe
from export.holdings import Sizes
from export.prediction import roofline
from export.presets import FLOAT16, HALF, Preset, Weights

CHAT_TOKENS = 51
BENCH_TOKENS = 2048
ORIN, THOR, NANO = "jetson-orin-agx-64g", "jetson-thor-128g", "jetson-orin-nano-8g"
INT4, NVFP4 = "int4", "NVFP4"


def _matrices(weights: Weights) -> Preset:
    """Layers in 4 bits; embedding and head in 16-bit floats, which is how that engine's quantiser leaves them."""
    return Preset("published", "", 0, body=weights, head=HALF, embedding=HALF, runtime=TENSORRT, activations=FLOAT16)


FORMS: Mapping[str, Preset] = {
    INT4: _matrices(Weights(bits=4, block=128)),
    # Blocks of 16 with a scale of one byte: as many bytes as blocks of 32 with a scale of two.
    NVFP4: _matrices(Weights(bits=4, block=32)),
}
# Hidden and inner width, layers, query heads, tied embeddings: the config.json files of Qwen3. All have 8 key heads of
# 128 elements.
SHAPES = {
    "Qwen3-0.6B": (1024, 3072, 28, 16),
    "Qwen3-1.7B": (2048, 6144, 28, 16),
    "Qwen3-4B": (2560, 9728, 36, 32),
    "Qwen3-8B": (4096, 12288, 36, 32),
}


@dataclass(frozen=True)
class Figure:
    """One published figure.

    Attributes:
        target: the module, as our target.
        form: how its weights were held.
        model: its name.
        streams: sequences that decoded at once.
        context_tokens: rows of each cache, at least.
        tokens_per_s: of all streams together.
    """

    target: str
    form: str
    model: str
    streams: int
    context_tokens: int
    tokens_per_s: float

    @property
    def board(self) -> Board:
        return targets()[self.target].boards[0]

    @property
    def roofline(self) -> float:
        sizes = sizes_of(self.model, self.form)
        return roofline(sizes, self.streams, self.context_tokens, self.board.bandwidth_bytes_per_s)

    @property
    def share(self) -> float:
        """Of the roofline."""
        return self.tokens_per_s / self.roofline


def _figures(target: str, form: str, streams: int, context: int, rates: Sequence[float]) -> list[Figure]:
    return [Figure(target, form, *each) for each in zip(SHAPES, [streams] * 4, [context] * 4, rates, strict=False)]


FIGURES = [
    *_figures(ORIN, INT4, 1, CHAT_TOKENS, (186.4, 98.6, 53.1, 32.5)),
    *_figures(ORIN, INT4, 8, CHAT_TOKENS, (738.2, 465.5, 225.8, 151.5)),
    *_figures(NANO, INT4, 1, CHAT_TOKENS, (72.8, 37.4)),
    *_figures(THOR, NVFP4, 1, CHAT_TOKENS, (303.1, 154.2, 80.5, 46.8)),
    *_figures(THOR, NVFP4, 8, CHAT_TOKENS, (1569.5, 828.7, 494.9, 283.1)),
    *_figures(THOR, NVFP4, 1, BENCH_TOKENS, (245.4, 135.5, 73.7, 44.4)),
    *_figures(THOR, NVFP4, 8, BENCH_TOKENS, (715.2, 519.2, 349.6, 252.0)),
]
# (model, streams) -> "GPU Mem (MB)" of the same rows on AGX Orin; engines for a cache of 2,200 tokens.
PEAKS_MB = {
    ("Qwen3-0.6B", 1): 1931,
    ("Qwen3-0.6B", 8): 4043,
    ("Qwen3-1.7B", 1): 3302,
    ("Qwen3-1.7B", 8): 5602,
    ("Qwen3-4B", 1): 4911,
    ("Qwen3-4B", 8): 8119,
    ("Qwen3-8B", 1): 8221,
    ("Qwen3-8B", 8): 11134,
}
PEAKS_CONTEXT_TOKENS = 2200


def config_of(model: str) -> Mapping[str, Any]:
    hidden, inner, layers, heads = SHAPES[model]
    return {
        "head_dim": 128,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "max_position_embeddings": 40960,
        "model_type": "qwen3",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        # Edge-LLM holds the embedding's table and the head apart, tied or not.
        "tie_word_embeddings": False,
        "vocab_size": 151936,
    }


def sizes_of(model: str, form: str) -> Sizes:
    return Sizes.of(RandomCheckpoint(config_of(model)), describe(config_of(model)), FORMS[form])


def table() -> str:
    """The comparison, in Markdown."""
    lines = [
        "| module | weights | model | streams | cache, tokens each | published, tokens/s | roofline | share |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {each.board.name} | {each.form} | {each.model} | {each.streams} | {each.context_tokens:,} "
        f"| {each.tokens_per_s:,.1f} | {each.roofline:,.1f} | {each.share:.0%} |"
        for each in FIGURES
    ]
    return "\n".join(lines) + "\n"


GROUPS: Mapping[str, Sequence[Figure]] = {
    "one stream, 4B and 8B": [each for each in FIGURES if each.streams == 1 and each.model in {"Qwen3-4B", "Qwen3-8B"}],
    "one stream, all": [each for each in FIGURES if each.streams == 1],
    "caches of a known length, one and eight streams": [each for each in FIGURES if each.context_tokens > CHAT_TOKENS],
    "eight streams, all": [each for each in FIGURES if each.streams > 1],
}


def factors() -> str:
    """By how much the roofline is above the figures at most, in Markdown."""
    lines = ["| rows | roofline / published, at most |", "|---|--:|"]
    lines += [f"| {name} | {max(1 / each.share for each in group):.2f} |" for name, group in GROUPS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), factors(), sep="\n", end="")  # noqa: T201
