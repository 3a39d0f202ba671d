"""The arithmetic of predictions: by hand, by its laws, and against what was published."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import NoSpaceError, UsageError
from appliance.targets import Board, PowerMode, get
from export.holdings import Sizes
from export.prediction import (
    CPU_RUNTIME_BYTES,
    EFFICIENCY,
    RUNTIME_BYTES,
    SYSTEM_BYTES,
    Memory,
    Use,
    build_bytes,
    check_context,
    check_fit,
    memory,
    on_board,
    roofline,
)
from tests.export.published import (
    FIGURES,
    GROUPS,
    INT4,
    ORIN,
    PEAKS_CONTEXT_TOKENS,
    PEAKS_MB,
    factors,
    sizes_of,
    table,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "prediction.md"
PERFORMANCE = DOCS / "performance.md"
GB = 10**9
SMALL = Sizes(weights_bytes=GB, read_bytes=800_000_000, cache_bytes_per_token=10_000, context_tokens=32_768)
CARD = Board("Card", 4 * GB, False, 100e9, "a test")
MODULE = Board("Module", 4 * GB, True, 100e9, "a test")

SIZES = st.builds(
    Sizes,
    weights_bytes=st.integers(10**6, 3 * GB),
    read_bytes=st.integers(10**6, 3 * GB),
    cache_bytes_per_token=st.integers(1_000, 200_000),
    context_tokens=st.integers(512, 40_960),
)
USES = st.builds(Use, st.integers(1, 64), st.integers(1, 40_960), st.sampled_from([0, 512]))
BOARDS = st.sampled_from([CARD, MODULE])


def test_memory_is_weights_cache_runtime_and_where_it_is_shared_the_system() -> None:
    use = Use(slots=10, context_tokens=1_000)
    assert memory(SMALL, use, None) == Memory(GB, 100_000_000, CPU_RUNTIME_BYTES, 0)
    assert memory(SMALL, use, CARD) == Memory(GB, 100_000_000, RUNTIME_BYTES, 0)
    assert memory(SMALL, use, MODULE) == Memory(GB, 100_000_000, RUNTIME_BYTES + 275_000_000, SYSTEM_BYTES)
    assert memory(SMALL, use, CARD).total_bytes == 1_850_000_000


def test_a_plans_spare_rows_are_held_and_read() -> None:
    spare = Use(slots=10, context_tokens=1_500, spare_tokens=500)
    plain = Use(slots=10, context_tokens=2_000)
    assert memory(SMALL, spare, CARD) == memory(SMALL, plain, CARD)
    predicted = on_board(SMALL, spare, CARD)
    assert predicted.speeds == on_board(SMALL, plain, CARD).speeds
    assert predicted.most_slots == on_board(SMALL, plain, CARD).most_slots
    assert predicted.most_context_tokens == on_board(SMALL, plain, CARD).most_context_tokens - 500


def test_a_step_reads_the_weights_once_and_each_cache() -> None:
    assert roofline(SMALL, 1, 0, 80e9) == 100
    assert roofline(SMALL, 1, 20_000, 100e9) == 100
    assert roofline(SMALL, 10, 2_000, 100e9) == 1_000


def test_speeds_are_a_share_of_the_roofline_for_each_power_mode() -> None:
    modes = (PowerMode("MAXN", bandwidth_bytes_per_s=100e9), PowerMode("15W", 15, 50e9), PowerMode("7W", 7))
    board = dataclasses.replace(MODULE, power_modes=modes)
    fast, slow, unknown = on_board(SMALL, Use(10, 2_000), board).speeds
    assert (fast.mode, fast.watts, slow.mode, slow.watts) == ("MAXN", None, "15W", 15)
    assert fast.all_slots == pytest.approx(1_000 * EFFICIENCY)
    assert slow.all_slots == pytest.approx(500 * EFFICIENCY)
    assert fast.one_stream == pytest.approx(EFFICIENCY * 100e9 / 820_000_000)
    assert (unknown.one_stream, unknown.all_slots) == (None, None)
    (only,) = on_board(SMALL, Use(10, 2_000), MODULE).speeds
    assert (only.mode, only.all_slots) == ("", fast.all_slots)


@given(sizes=SIZES, use=USES, board=BOARDS)
def test_the_most_slots_fit_and_one_more_does_not(sizes: Sizes, use: Use, board: Board) -> None:
    most = on_board(sizes, use, board).most_slots
    assert not most or on_board(sizes, dataclasses.replace(use, slots=most), board).fits
    assert not on_board(sizes, dataclasses.replace(use, slots=most + 1), board).fits


@given(sizes=SIZES, use=USES, board=BOARDS)
def test_the_longest_context_fits_and_a_longer_one_does_not_or_is_not_the_models(
    sizes: Sizes, use: Use, board: Board
) -> None:
    longest = on_board(sizes, use, board).most_context_tokens
    assert longest <= sizes.context_tokens
    assert not longest or on_board(sizes, dataclasses.replace(use, context_tokens=longest), board).fits
    assert (
        longest == sizes.context_tokens
        or not on_board(sizes, dataclasses.replace(use, context_tokens=longest + 1), board).fits
    )


@given(sizes=SIZES, use=USES)
def test_more_streams_are_faster_together_and_slower_each(sizes: Sizes, use: Use) -> None:
    (speed,) = on_board(sizes, use, CARD).speeds
    assert speed.one_stream is not None
    assert speed.all_slots is not None
    assert speed.one_stream <= speed.all_slots * (1 + 1e-9)
    assert speed.all_slots <= use.slots * speed.one_stream * (1 + 1e-9)


def test_what_does_not_fit_is_refused_with_the_arithmetic_and_what_would() -> None:
    use = Use(slots=16, context_tokens=32_768)
    predicted = [on_board(SMALL, use, board) for board in (dataclasses.replace(CARD, memory_bytes=GB), MODULE)]
    coarse = Sizes(GB // 2, GB // 2, 1_000, 32_768)
    with pytest.raises(NoSpaceError) as caught:
        check_fit("some-model", predicted, use, {"finer": SMALL, "coarse": coarse})
    assert caught.value.message == (
        "some-model does not fit Module: 1.00 GB of weights + 5.24 GB of cache (16 x 32,768 tokens) + 2.31 GB for the "
        "runtime + 1.50 GB for the system = 10.05 GB, it has 4.00 GB"
    )
    assert caught.value.hint == "this would fit: --context 2500, or --slots 1, or --preset coarse"
    assert caught.value.exit_code == 4
    assert on_board(SMALL, Use(16, 2_500), MODULE).fits
    assert on_board(SMALL, Use(1, 32_768), MODULE).fits


def test_a_model_that_fits_with_nothing_is_refused_with_no_false_hope() -> None:
    large = Sizes(5 * GB, 5 * GB, 10_000, 32_768)
    with pytest.raises(NoSpaceError) as caught:
        check_fit("large", [on_board(large, Use(1, 1), CARD)], Use(1, 1), {"finer": large})
    assert caught.value.hint == "use a smaller model"


def test_it_fits_when_one_board_of_the_target_holds_it() -> None:
    tight = dataclasses.replace(CARD, memory_bytes=GB)
    use = Use(1, 1_000)
    check_fit("some-model", [on_board(SMALL, use, board) for board in (tight, CARD)], use, {})
    check_fit("some-model", [], use, {})


def test_a_context_that_the_model_does_not_have_is_refused() -> None:
    check_context(SMALL, Use(1, 32_768))
    with pytest.raises(UsageError, match=r"32,769 tokens is more than the model's 32,768"):
        check_context(SMALL, Use(1, 32_769))


def test_a_plan_is_built_in_several_times_its_weights() -> None:
    assert build_bytes(SMALL) == (3 * GB, 4 * GB)


# Against what was published.


@pytest.mark.parametrize("figure", FIGURES, ids=lambda each: f"{each.target}-{each.model}-{each.streams}")
def test_no_published_figure_exceeds_the_roofline(figure) -> None:
    assert figure.tokens_per_s < figure.roofline


def test_the_prediction_is_within_a_sixth_of_models_of_some_billions_with_one_stream() -> None:
    for figure in GROUPS["one stream, 4B and 8B"]:
        assert figure.tokens_per_s / (EFFICIENCY * figure.roofline) == pytest.approx(1, abs=1 / 6)


def test_the_efficiency_is_the_published_one() -> None:
    (figure,) = [each for each in FIGURES if (each.target, each.model, each.streams) == (ORIN, "Qwen3-8B", 1)]
    assert round(figure.share, 2) == EFFICIENCY


@pytest.mark.parametrize(("model", "streams"), PEAKS_MB, ids=str)
def test_published_peaks_of_memory_stay_within_the_prediction(model: str, streams: int) -> None:
    use = Use(streams, PEAKS_CONTEXT_TOKENS)
    needs = memory(sizes_of(model, INT4), use, get(ORIN).boards[0])
    # What was published is without the system.
    predicted = needs.total_bytes - needs.system_bytes
    assert 1 <= predicted / (PEAKS_MB[model, streams] * 1e6) <= 1.2


def test_the_engines_own_memory_on_a_cpu_covers_what_was_measured() -> None:
    rows = [
        line for line in PERFORMANCE.read_text(encoding="utf-8").splitlines() if "beyond weights and cache (MB)" in line
    ]
    measured = [int(cell) for row in rows for cell in re.findall(r"\| +([0-9]+)\b", row)]
    assert len(rows) > 1
    assert 0.5 < max(measured) * 1e6 / CPU_RUNTIME_BYTES <= 1


@pytest.mark.parametrize("part", [table, factors])
def test_the_page_has_the_tables_that_the_code_gives(part) -> None:
    assert part() in PAGE.read_text(encoding="utf-8"), "run: python -m tests.export.published"
