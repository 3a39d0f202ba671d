"""Memory and speed of a model on a board, from the shapes of its tensors and the board's data sheet. Pure arithmetic.

docs/prediction.md has the formulae, and what they were compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.errors import NoSpaceError, UsageError
from appliance.targets import Board, PowerMode
from export.holdings import Sizes

# Share of the memory's bandwidth that decoding of one stream attains: TensorRT Edge-LLM 0.9.0 with Qwen3-8B in int4 on
# AGX Orin, by its page "Performance Benchmarks". Small models attain less: starting a kernel costs the same for them.
EFFICIENCY = 0.77
# Context, kernels and buffers of a GPU's runtime: an allowance. On a board with shared memory, the peaks published on
# the same page for AGX Orin need this and a quarter of weights and cache more.
RUNTIME_BYTES = 750_000_000
SHARED_PART = 4
# The engine on a CPU beyond weights and cache: a little more than the most in docs/performance.md.
CPU_RUNTIME_BYTES = 600_000_000
# An allowance on boards with shared memory for Linux without a desktop, Triton and the gateway.
SYSTEM_BYTES = 1_500_000_000
# Memory that building a TensorRT plan takes, in times the weights: TensorRT-Edge-LLM issue 30 says three to four,
# TensorRT-Model-Connect pull request 1085 measured 200 GB for a plan of 51 GB.
BUILD_TIMES = (3, 4)


@dataclass(frozen=True)
class Use:
    """What the board is to serve.

    Attributes:
        slots: sequences that decode at once.
        context_tokens: prompt plus completion of each.
        spare_tokens: rows of each slot's cache beyond the context, as a TensorRT plan has (docs/formats/engine.md).
    """

    slots: int
    context_tokens: int
    spare_tokens: int = 0

    @property
    def rows(self) -> int:
        """Of each slot's cache. With every slot full a step reads them all, the spare ones too: a plan masks them."""
        return self.context_tokens + self.spare_tokens


@dataclass(frozen=True)
class Memory:
    """What serving takes when every slot is full, in bytes."""

    weights_bytes: int
    cache_bytes: int
    runtime_bytes: int
    system_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.cache_bytes + self.runtime_bytes + self.system_bytes


@dataclass(frozen=True)
class Speed:
    """Decoding with every slot full, in one power mode.

    Attributes:
        mode: the power mode's name; empty where the board has one.
        watts: the mode's limit; None where it has none.
        one_stream, all_slots: tokens a second of all streams together; None where the memory's bandwidth is not known.
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
        memory: what the use takes.
        most_slots: that fit with the use's context; 0 when the model does not fit at all.
        most_context_tokens: that fit with the use's slots, at most the model's; 0 likewise.
        speeds: one for each power mode.
    """

    board: Board
    memory: Memory
    most_slots: int
    most_context_tokens: int
    speeds: tuple[Speed, ...]

    @property
    def fits(self) -> bool:
        """Whether the board holds it."""
        return self.memory.total_bytes <= self.board.memory_bytes


def check_context(sizes: Sizes, use: Use) -> None:
    """Refuse a context that the model does not have.

    Raises:
        UsageError: it says what the model allows.
    """
    if use.context_tokens > sizes.context_tokens:
        raise UsageError(
            f"a context of {use.context_tokens:,} tokens is more than the model's {sizes.context_tokens:,}",
            hint=f"use --context {sizes.context_tokens} or less",
        )


def cache_bytes(sizes: Sizes, use: Use) -> int:
    """Of all slots, when they are full."""
    return use.slots * use.rows * sizes.cache_bytes_per_token


def memory(sizes: Sizes, use: Use, board: Board | None) -> Memory:
    """What serving takes on a board; None is a CPU."""
    cache = cache_bytes(sizes, use)
    if board is None:
        return Memory(sizes.weights_bytes, cache, CPU_RUNTIME_BYTES, 0)
    if not board.shared:
        return Memory(sizes.weights_bytes, cache, RUNTIME_BYTES, 0)
    loaded = sizes.weights_bytes + cache
    return Memory(sizes.weights_bytes, cache, RUNTIME_BYTES + -(-loaded // SHARED_PART), SYSTEM_BYTES)


def roofline(sizes: Sizes, sequences: int, context_tokens: int, bandwidth_bytes_per_s: float) -> float:
    """Tokens a second of all sequences together that no engine can exceed.

    A step reads the weights once and each sequence's cache of `context_tokens` rows, and gives each one token.
    """
    step_bytes = sizes.read_bytes + sequences * context_tokens * sizes.cache_bytes_per_token
    return sequences * bandwidth_bytes_per_s / step_bytes


def on_board(sizes: Sizes, use: Use, board: Board) -> OnBoard:
    """Predict one board."""
    modes = board.power_modes or (PowerMode("", bandwidth_bytes_per_s=board.bandwidth_bytes_per_s),)
    rows = _cache_room_bytes(sizes, board) // sizes.cache_bytes_per_token
    return OnBoard(
        board=board,
        memory=memory(sizes, use, board),
        most_slots=rows // use.rows,
        most_context_tokens=max(0, min(rows // use.slots - use.spare_tokens, sizes.context_tokens)),
        speeds=tuple(_speed(sizes, use, mode) for mode in modes),
    )


def build_bytes(sizes: Sizes) -> tuple[int, int]:
    """The least and the most memory that building a TensorRT plan is expected to take."""
    least, most = BUILD_TIMES
    return least * sizes.weights_bytes, most * sizes.weights_bytes


def check_fit(model: str, predicted: Sequence[OnBoard], use: Use, others: Mapping[str, Sizes]) -> None:
    """Refuse when no board holds the use.

    Args:
        model: its name, for the message.
        predicted: each board.
        use: what was asked for.
        others: what the model takes with the target's other presets, by their names.

    Raises:
        NoSpaceError: it shows the arithmetic for the largest board, and the hint says what would fit.
    """
    if not predicted or any(each.fits for each in predicted):
        return
    largest = max(predicted, key=lambda each: each.board.memory_bytes)
    needs = largest.memory
    parts = [
        f"{_gigabytes(needs.weights_bytes)} of weights",
        f"{_gigabytes(needs.cache_bytes)} of cache ({use.slots:,} x {use.rows:,} tokens)",
        f"{_gigabytes(needs.runtime_bytes)} for the runtime",
    ]
    if needs.system_bytes:
        parts.append(f"{_gigabytes(needs.system_bytes)} for the system")
    ways = []
    if largest.most_context_tokens:
        ways.append(f"--context {largest.most_context_tokens}")
    if largest.most_slots:
        ways.append(f"--slots {largest.most_slots}")
    ways += [f"--preset {name}" for name, sizes in others.items() if on_board(sizes, use, largest.board).fits]
    raise NoSpaceError(
        f"{model} does not fit {largest.board.name}: {' + '.join(parts)} = {_gigabytes(needs.total_bytes)}, "
        f"it has {_gigabytes(largest.board.memory_bytes)}",
        hint=f"this would fit: {', or '.join(ways)}" if ways else "use a smaller model",
    )


def _cache_room_bytes(sizes: Sizes, board: Board) -> int:
    """What the cache may take: the board's memory without everything else."""
    empty = memory(sizes, Use(0, 0), board)
    room = max(0, board.memory_bytes - empty.total_bytes)
    return room * SHARED_PART // (SHARED_PART + 1) if board.shared else room


def _speed(sizes: Sizes, use: Use, mode: PowerMode) -> Speed:
    bandwidth = mode.bandwidth_bytes_per_s
    if bandwidth is None:
        return Speed(mode.name, mode.watts, None, None)
    one, every = (roofline(sizes, count, use.rows, EFFICIENCY * bandwidth) for count in (1, use.slots))
    return Speed(mode.name, mode.watts, one, every)


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.2f} GB"
