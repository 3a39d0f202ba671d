"""One calculator for what fits: its parts by hand, and that plan, build and engine never disagree.

There is no GPU here, so what the engine measures and loads is given to it; its settings, its sum and its reservation of
the cache are the product's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.artefact.manifest import GRAPH, ORT_CUDA, TENSORRT, FileEntry, Manifest, ModelShape
from appliance.capacity import RUNTIME_BYTES, SYSTEM_BYTES, Cache, GpuMemory, MemoryNeeds, cache_slots
from appliance.config import ServeConfig
from appliance.engine import device_fit, ort_cuda, trt_open
from appliance.engine.budget import scheduler_limits
from appliance.engine.kv_cache import KVCache
from appliance.engine.memory import HostMemory, Region
from appliance.errors import NoSpaceError
from appliance.gpu import Gpu
from appliance.supervisor.engine_settings import engine_settings
from appliance.supervisor.served_plan import ServedPlan
from appliance.targets import Board, get
from appliance.tensorrt.build import check_buildable
from appliance.tensorrt.plan_key import Profile
from export.estimate import cache_of
from export.holdings import Sizes
from export.prediction import OnBoard, Use, on_board
from export.presets import PRESETS
from tests.supervisor.test_choose import MANIFEST

GB = 10**9
PLANNED, GRAPHED = (
    next(preset for preset in PRESETS.values() if preset.runtime == runtime) for runtime in (TENSORRT, ORT_CUDA)
)
# 147,456 bytes of cache a token.
QWEN3_4B = ModelShape(36, 8, 128, 151_936, 151_669, 40_960, "bfloat16")
CARD = Board("a card of 8 GB", 8 * GB, False, 100e9, "a test")


@dataclasses.dataclass(frozen=True)
class Case:
    """A model of a shape, as it is to be served from a board."""

    shape: ModelShape
    weights_bytes: int
    board: Board
    profile: Profile

    @property
    def manifest(self) -> Manifest:
        files = (FileEntry(GRAPH, self.weights_bytes, "0" * 64),)
        task = dataclasses.replace(MANIFEST.task, shape=self.shape)
        return dataclasses.replace(MANIFEST, task=task, files=files, runtime=TENSORRT)

    @property
    def gpu(self) -> Gpu:
        return Gpu(self.board.name, "8.7", self.board.memory_bytes, "13.0", "GPU-0", self.board.shared)

    @property
    def free_bytes(self) -> int:
        """While the system runs, and nothing else."""
        return max(0, self.board.memory_bytes - (SYSTEM_BYTES if self.board.shared else 0))


SHAPES = st.builds(
    ModelShape,
    st.integers(1, 64),
    st.integers(1, 16),
    st.sampled_from([64, 128]),
    st.just(1000),
    st.just(1000),
    st.just(1 << 16),
    st.sampled_from(["float16", "bfloat16"]),
)
PROFILES = st.builds(
    lambda slots, context, chunk: Profile(slots, context, min(chunk, context)),
    st.integers(1, 32),
    st.integers(16, 32_768),
    st.sampled_from([16, 128, 512]),
)
BOARDS = st.builds(
    lambda size, shared: Board("a board", size, shared, 100e9, "a test"), st.integers(GB, 140 * GB), st.booleans()
)
CASES = st.builds(Case, SHAPES, st.integers(10**6, 40 * GB), BOARDS, PROFILES)


def planned(case: Case, preset=PLANNED) -> OnBoard:
    """What `appliance plan` says."""
    profile, row_bytes = case.profile, case.shape.cache_bytes_per_token
    sizes = Sizes(case.weights_bytes, case.weights_bytes, row_bytes, case.shape.context_tokens)
    cache = cache_of(preset, profile.slots, profile.context_tokens, profile.chunk_tokens)
    return on_board(sizes, Use(profile.slots, cache), case.board)


def is_accepted(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except NoSpaceError:
        return False
    return True


def can_be_built(case: Case, profile: Profile | None = None) -> bool:
    """What `appliance tensorrt build` says."""
    wanted = profile or case.profile
    return is_accepted(lambda: check_buildable(case.manifest, wanted, case.gpu, cache_slots(wanted.slots)))


class Counted(HostMemory):
    """Memory that is not there: it adds up what is reserved."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = self.reserved = self.largest = 0

    def reserve(self, size_bytes: int, *, sparse: bool = False) -> Region:  # noqa: ARG002 - the seam's form
        self.reserved += size_bytes
        self.largest = max(self.largest, size_bytes)
        return Region(0, size_bytes)


class Content:
    """The bytes of a plan, of which there is only the number."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def __len__(self) -> int:
        return self.size_bytes


def loads_plan(case: Case) -> bool:
    """What the engine says that `appliance up` starts with a plan; it reserves what was counted."""
    memory = Counted()
    memory.free_bytes = lambda: case.free_bytes  # type: ignore[attr-defined]
    profile = case.profile
    record = SimpleNamespace(key=SimpleNamespace(profile=profile))
    opened = SimpleNamespace(record=record, content=Content(case.weights_bytes), tensorrt=SimpleNamespace(module=None))
    served = ServedPlan(Path("/plan"), profile, case.shape.cache_bytes_per_token)
    config = engine_settings(ServeConfig(), served)

    def executor(_trt, memory, _stream, _plan, shape, slots):
        before = memory.reserved
        KVCache(shape, slots, profile.capacity_tokens, memory)
        # Beside the slots there is a piece to swap with, of one slot in one of the layers' buffers.
        spare = profile.capacity_tokens * shape.cache_bytes_per_token // (2 * shape.layers)
        assert memory.reserved - before - spare == planned(case).fit.needs.cache_bytes

    with (
        mock.patch.multiple(
            trt_open,
            CudaMemory=lambda: memory,
            CudaStream=lambda _address: None,
            open_plan=lambda *_: opened,
            TrtExecutor=executor,
            TrtRunner=lambda *_, **_options: None,
        ),
        mock.patch.object(device_fit, "available_bytes", return_value=case.free_bytes),
    ):
        return is_accepted(
            lambda: trt_open.open_trt_runner(
                Path("/plan"),
                case.manifest,
                case.gpu,
                slots=scheduler_limits(case.shape, config).slots,
                running=config.slots,
                capacity=config.max_context_tokens or 0,
            )
        )


def loads_graph(case: Case) -> bool:
    """What the engine says that loads the graph with ONNX Runtime, set to the same slots and context."""
    memory = Counted()
    memory.free_bytes = lambda: case.free_bytes  # type: ignore[attr-defined]
    with (
        mock.patch.multiple(
            ort_cuda,
            CudaMemory=lambda: memory,
            check_provider=lambda: None,
            open_session=lambda *_, **_options: None,
            check_computes_on_gpu=lambda _session: None,
            OrtRunner=lambda *_, **_options: None,
        ),
        mock.patch.object(device_fit, "available_bytes", return_value=case.free_bytes),
    ):
        return is_accepted(
            lambda: ort_cuda.open_cuda_runner(
                Path("/artefact"),
                case.manifest,
                slots=cache_slots(case.profile.slots),
                capacity=case.profile.context_tokens,
                shared=case.board.shared,
            )
        )


@given(case=CASES)
def test_plan_build_and_engine_never_disagree(case: Case):
    assert planned(case).fit.fits == can_be_built(case) == loads_plan(case)


@given(case=CASES)
def test_plan_and_engine_never_disagree_about_a_graph(case: Case):
    assert planned(case, GRAPHED).fit.fits == loads_graph(case)


@given(case=CASES)
def test_what_the_plan_offers_is_built(case: Case):
    offered = planned(case).most_slots
    if offered:
        assert can_be_built(case, dataclasses.replace(case.profile, slots=offered))
    assert not can_be_built(case, dataclasses.replace(case.profile, slots=offered + 1))


def test_qwen3_4b_with_4_slots_on_8_gb_fits_nowhere():
    """`plan` said that it fits (7.87 GB), and the build refused it (10.9 GB)."""
    case = Case(QWEN3_4B, 4_400_000_000, CARD, Profile(4, 4096, 512))
    needs = planned(case).fit.needs
    assert needs == MemoryNeeds(4_400_000_000, 8 * 4608 * 147_456, RUNTIME_BYTES, 0)
    assert (planned(case).fit.fits, can_be_built(case), loads_plan(case)) == (False, False, False)
    # What really fits, fits everywhere.
    less = dataclasses.replace(case, profile=Profile(1, 4096, 512))
    assert (planned(less).fit.fits, can_be_built(less), loads_plan(less)) == (True, True, True)


def test_qwen3_4b_with_one_slot_on_an_orin_nano_fits_nowhere():
    """The build said that it fits, and `plan` refused it."""
    (board,) = get("jetson-orin-nano-8g").boards
    case = Case(QWEN3_4B, 4_400_000_000, board, Profile(1, 2048, 512))
    assert (planned(case).fit.fits, can_be_built(case), loads_plan(case)) == (False, False, False)
    smaller = dataclasses.replace(case, weights_bytes=3_000_000_000)
    assert (planned(smaller).fit.fits, can_be_built(smaller), loads_plan(smaller)) == (True, True, True)


def test_a_cache_is_slots_of_the_context_and_what_launches_write_behind_it():
    cache = Cache.of_plan(cache_slots(4), context_tokens=2048, chunk_tokens=512)
    assert (cache.all_slots, cache.rows, cache.size_bytes(10)) == (8, 2560, 8 * 2560 * 10)
    assert Cache(16, 100, spare_rows=64, filling_slots=7).size_bytes(1) == 23 * 164
    assert cache_slots(4, keeps_prefixes=False) == 4


@pytest.mark.parametrize(
    ("memory", "runtime_bytes", "system_bytes"),
    [
        (GpuMemory.whole(8 * GB, shared=False), RUNTIME_BYTES, 0),
        (GpuMemory.whole(8 * GB, shared=True), RUNTIME_BYTES + GB // 5, SYSTEM_BYTES),
        (GpuMemory.free(8 * GB, shared=True), RUNTIME_BYTES + GB // 5, 0),
    ],
)
def test_needs_are_weights_cache_runtime_and_the_systems_part_where_it_is_not_taken_yet(
    memory: GpuMemory, runtime_bytes: int, system_bytes: int
):
    needs = memory.needs(900_000_000, 100_000_000)
    assert needs == MemoryNeeds(900_000_000, 100_000_000, runtime_bytes, system_bytes)
    assert needs.total_bytes == GB + runtime_bytes + system_bytes
