"""The arithmetic of predictions: by hand, by its laws, and against what was published."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.capacity import CPU_RUNTIME_BYTES, Cache, GpuMemory, MemoryNeeds, cache_slots
from appliance.errors import NoSpaceError, UsageError
from appliance.targets import Board, PowerMode, get
from export.holdings import Sizes
from export.prediction import (
    EFFICIENCY,
    Use,
    build_bytes,
    check_context,
    check_fit,
    on_board,
    on_cpu,
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
from tests.refusals import refused

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "prediction.md"
GB = 10**9
# (model, preset) -> megabytes beyond weights and cache, as `make bench` measured them.
CPU_OWN_MB = {
    ("qwen2.5-coder-0.5b-instruct", "balanced"): 289,
    ("qwen2.5-coder-0.5b-instruct", "precise"): 305,
    ("qwen2.5-coder-1.5b-instruct", "balanced"): 400,
    ("qwen2.5-coder-1.5b-instruct", "precise"): 501,
}
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


def use_of(slots: int, context_tokens: int, spare_rows: int = 0, filling_slots: int = 0) -> Use:
    return Use(slots, Cache(cache_slots(slots), context_tokens, spare_rows, filling_slots))


USES = st.builds(use_of, st.integers(1, 64), st.integers(1, 40_960), st.sampled_from([0, 512]), st.sampled_from([0, 7]))
BOARDS = st.sampled_from([CARD, MODULE])


def test_memory_on_a_cpu_is_weights_cache_and_the_engine() -> None:
    assert on_cpu(SMALL, Use(10, Cache(10, 1_000))) == MemoryNeeds(GB, 100_000_000, CPU_RUNTIME_BYTES, 0)


def test_a_plans_spare_rows_are_held_and_read() -> None:
    spare, plain = on_board(SMALL, use_of(10, 1_500, 500), CARD), on_board(SMALL, use_of(10, 2_000), CARD)
    assert spare.fit.needs == plain.fit.needs
    assert spare.speeds == plain.speeds
    assert spare.most_slots == plain.most_slots
    assert spare.most_context_tokens == plain.most_context_tokens - 500


def test_a_step_reads_the_weights_once_and_each_cache() -> None:
    assert roofline(SMALL, 1, 0, 80e9) == 100
    assert roofline(SMALL, 1, 20_000, 100e9) == 100
    assert roofline(SMALL, 10, 2_000, 100e9) == 1_000


def test_speeds_are_a_share_of_the_roofline_for_each_power_mode() -> None:
    modes = (PowerMode("MAXN", bandwidth_bytes_per_s=100e9), PowerMode("15W", 15, 50e9), PowerMode("7W", 7))
    board = dataclasses.replace(MODULE, power_modes=modes)
    fast, slow, unknown = on_board(SMALL, use_of(10, 2_000), board).speeds
    assert (fast.mode, fast.watts, slow.mode, slow.watts) == ("MAXN", None, "15W", 15)
    assert fast.all_slots == pytest.approx(1_000 * EFFICIENCY)
    assert slow.all_slots == pytest.approx(500 * EFFICIENCY)
    assert fast.one_stream == pytest.approx(EFFICIENCY * 100e9 / 820_000_000)
    assert (unknown.one_stream, unknown.all_slots) == (None, None)
    (only,) = on_board(SMALL, use_of(10, 2_000), MODULE).speeds
    assert (only.mode, only.all_slots) == ("", fast.all_slots)


def with_cache(use: Use, **changes: int) -> Use:
    return dataclasses.replace(use, cache=dataclasses.replace(use.cache, **changes))


@given(sizes=SIZES, use=USES, board=BOARDS)
def test_the_most_slots_fit_and_one_more_does_not(sizes: Sizes, use: Use, board: Board) -> None:
    most = on_board(sizes, use, board).most_slots
    assert not most or on_board(sizes, with_cache(use, slots=cache_slots(most)), board).fit.fits
    assert not on_board(sizes, with_cache(use, slots=cache_slots(most + 1)), board).fit.fits


@given(sizes=SIZES, use=USES, board=BOARDS)
def test_the_longest_context_fits_and_a_longer_one_does_not_or_is_not_the_models(
    sizes: Sizes, use: Use, board: Board
) -> None:
    longest = on_board(sizes, use, board).most_context_tokens
    assert longest <= sizes.context_tokens
    assert not longest or on_board(sizes, with_cache(use, context_tokens=longest), board).fit.fits
    assert (
        longest == sizes.context_tokens
        or not on_board(sizes, with_cache(use, context_tokens=longest + 1), board).fit.fits
    )


@given(sizes=SIZES, use=USES)
def test_more_streams_are_faster_together_and_slower_each(sizes: Sizes, use: Use) -> None:
    (speed,) = on_board(sizes, use, CARD).speeds
    assert speed.one_stream is not None
    assert speed.all_slots is not None
    assert speed.one_stream <= speed.all_slots * (1 + 1e-9)
    assert speed.all_slots <= use.slots * speed.one_stream * (1 + 1e-9)


def test_what_does_not_fit_is_refused_with_the_arithmetic_and_what_would() -> None:
    use = use_of(8, 32_768)
    predicted = [on_board(SMALL, use, board) for board in (dataclasses.replace(CARD, memory_bytes=GB), MODULE)]
    coarse = Sizes(GB // 2, GB // 2, 1_000, 32_768)
    parts = ("1.00 GB", "5.24 GB", "16 slots of 32,768", "2.32 GB", "1.50 GB", "10.07 GB", "4.00 GB")
    with refused(NoSpaceError, "some-model", "Module", *parts) as caught:
        check_fit("some-model", predicted, {"finer": (SMALL, use), "coarse": (coarse, use)})
    assert re.findall(r"--\w+ \w+", caught.value.hint) == ["--context 1178", "--preset coarse"]
    assert caught.value.exit_code == 4
    assert on_board(SMALL, use_of(8, 1_178), MODULE).fit.fits


def test_a_model_that_fits_with_nothing_is_refused_with_no_false_hope() -> None:
    large = Sizes(5 * GB, 5 * GB, 10_000, 32_768)
    use = use_of(1, 1)
    with pytest.raises(NoSpaceError) as caught:
        check_fit("large", [on_board(large, use, CARD)], {"finer": (large, use)})
    assert caught.value.hint
    assert "--" not in caught.value.hint


def test_it_fits_when_one_board_of_the_target_holds_it() -> None:
    tight = dataclasses.replace(CARD, memory_bytes=GB)
    check_fit("some-model", [on_board(SMALL, use_of(1, 1_000), board) for board in (tight, CARD)], {})
    check_fit("some-model", [], {})


def test_a_context_that_the_model_does_not_have_is_refused() -> None:
    check_context(SMALL, use_of(1, 32_768))
    with refused(UsageError, "32,769", "32,768"):
        check_context(SMALL, use_of(1, 32_769))


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
    # What was published is without the system, and that engine keeps no prefixes.
    sizes, free = sizes_of(model, INT4), GpuMemory.free(get(ORIN).boards[0].memory_bytes, shared=True)
    cache = Cache(cache_slots(streams, keeps_prefixes=False), PEAKS_CONTEXT_TOKENS)
    needs = free.needs(sizes.weights_bytes, cache.size_bytes(sizes.cache_bytes_per_token))
    assert 1 <= needs.total_bytes / (PEAKS_MB[model, streams] * 1e6) <= 1.25


def test_the_engines_own_memory_on_a_cpu_covers_what_was_measured() -> None:
    assert 0.5 < max(CPU_OWN_MB.values()) * 1e6 / CPU_RUNTIME_BYTES <= 1


@pytest.mark.parametrize("part", [table, factors])
def test_the_page_has_the_tables_that_the_code_gives(part) -> None:
    assert part() in PAGE.read_text(encoding="utf-8"), "run: python -m tests.export.published"
