"""Predicts memory and throughput of a model on a board, from its tensors' shapes and the board's data sheet.

docs/prediction.md has the formulae, and the measurements that they were compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.capacity import BUILD_TIMES, Cache, Fit, GpuMemory, MemoryNeeds
from appliance.errors import UsageError
from appliance.targets import Board, PowerMode
from export.holdings import Sizes

# Share of the memory bandwidth that decoding one stream reaches: TensorRT Edge-LLM 0.9.0 with Qwen3-8B in int4 on
# AGX Orin, from its page "Performance Benchmarks". Small models reach less: a kernel launch costs the same for them.
EFFICIENCY = 0.77


@dataclass(frozen=True)
class Use:
    """The requirements of serving.

    Attributes:
        slots: sequences that decode concurrently.
        cache: the cache that the engine reserves for them.
    """

    slots: int
    cache: Cache


@dataclass(frozen=True)
class Speed:
    """Throughput of decoding with every slot busy, in one power mode.

    Attributes:
        mode: the power mode's name; empty if the board has only one.
        watts: the mode's power limit; None without a limit.
        one_stream, all_slots: total tokens/s of one stream and of all slots; None if the memory bandwidth is unknown.
    """

    mode: str
    watts: int | None
    one_stream: float | None
    all_slots: float | None


@dataclass(frozen=True)
class OnBoard:
    """The prediction for one board.

    Attributes:
        board: see Board.
        fit: whether the use fits the board, and what would fit.
        most_slots: maximum of concurrently decoding sequences with the use's context; 0 if the model does not fit.
        most_context_tokens: maximum context with the use's slots, at most the model's; 0 if the model does not fit.
        speeds: one for each power mode.
    """

    board: Board
    fit: Fit
    most_slots: int
    most_context_tokens: int
    speeds: tuple[Speed, ...]


def check_context(sizes: Sizes, use: Use) -> None:
    """Check that the model supports the context.

    Raises:
        UsageError: it does not; the message states the model's maximum.
    """
    if use.cache.context_tokens > sizes.context_tokens:
        raise UsageError(
            f"a context of {use.cache.context_tokens:,} tokens exceeds the model's limit of {sizes.context_tokens:,}",
            hint=f"use --context {sizes.context_tokens} or less",
        )


def roofline(sizes: Sizes, sequences: int, context_tokens: int, bandwidth_bytes_per_s: float) -> float:
    """Upper limit of the total tokens/s of all sequences, for any engine.

    A step reads the weights once, and `context_tokens` rows of each sequence's cache. It generates one token each.
    """
    step_bytes = sizes.read_bytes + sequences * context_tokens * sizes.cache_bytes_per_token
    return sequences * bandwidth_bytes_per_s / step_bytes


def on_cpu(sizes: Sizes, use: Use) -> MemoryNeeds:
    """Main memory that serving needs."""
    return MemoryNeeds.on_cpu(sizes.weights_bytes, use.cache.size_bytes(sizes.cache_bytes_per_token))


def on_board(sizes: Sizes, use: Use, board: Board) -> OnBoard:
    """Predict memory and throughput on one board."""
    modes = board.power_modes or (PowerMode("", bandwidth_bytes_per_s=board.bandwidth_bytes_per_s),)
    memory = GpuMemory.whole(board.memory_bytes, shared=board.shared)
    fit = Fit(memory, sizes.weights_bytes, sizes.cache_bytes_per_token, use.cache)
    return OnBoard(
        board=board,
        fit=fit,
        most_slots=fit.most_slots * use.slots // use.cache.slots,
        most_context_tokens=min(fit.most_context_tokens, sizes.context_tokens),
        speeds=tuple(_speed(sizes, use, mode) for mode in modes),
    )


def build_bytes(sizes: Sizes) -> tuple[int, int]:
    """Expected minimum and maximum memory to build a TensorRT plan."""
    least, most = BUILD_TIMES
    return least * sizes.weights_bytes, most * sizes.weights_bytes


def check_fit(model: str, predicted: Sequence[OnBoard], others: Mapping[str, tuple[Sizes, Use]]) -> None:
    """Check that at least one board is large enough.

    Args:
        model: the model's name, for the message.
        predicted: the prediction for each board.
        others: the model's sizes and use with the target's other presets, by preset name.

    Raises:
        NoSpaceError: none is; the message shows the arithmetic for the largest board, and the hint says what would fit.
    """
    if not predicted or any(each.fit.fits for each in predicted):
        return
    largest = max(predicted, key=lambda each: each.board.memory_bytes)
    ways = []
    if largest.most_context_tokens:
        ways.append(f"--context {largest.most_context_tokens}")
    if largest.most_slots:
        ways.append(f"--slots {largest.most_slots}")
    ways += [
        f"--preset {name}" for name, (sizes, use) in others.items() if on_board(sizes, use, largest.board).fit.fits
    ]
    largest.fit.check(
        f"{model} does not fit {largest.board.name}",
        f"this would fit: {', or '.join(ways)}" if ways else "take a smaller model",
    )


def _speed(sizes: Sizes, use: Use, mode: PowerMode) -> Speed:
    bandwidth = mode.bandwidth_bytes_per_s
    if bandwidth is None:
        return Speed(mode.name, mode.watts, None, None)
    one, every = (roofline(sizes, count, use.cache.rows, EFFICIENCY * bandwidth) for count in (1, use.slots))
    return Speed(mode.name, mode.watts, one, every)
