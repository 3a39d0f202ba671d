"""What opens a graph on the GPU, as far as a machine without one can tell."""

from dataclasses import replace

import pytest
from cuda.bindings import driver

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import ORT_CUDA
from appliance.engine import cuda_memory, ort_cuda, ort_runner
from appliance.engine.budget import context_tokens
from appliance.engine.device_room import RESERVE_BYTES
from appliance.engine.exactness import LARGEST_TILE, LONGEST_TRIAL
from appliance.engine.ort_cuda import check_computes_on_gpu, check_provider, open_cuda_runner, providers
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, CUDA, open_session
from appliance.engine.runners import open_runner
from appliance.errors import MissingProgramError, NoSpaceError, UsageError
from appliance.inference.config import EngineConfig
from appliance.onnx_runtime import ort
from tests.engine.simulated_cuda import SimulatedCuda
from tests.engine.toy import MANIFEST, SHAPE
from tests.tiny_artefact import make_tiny_artefact


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuda")
    return make_tiny_artefact(folder / "artefact", folder / "checkpoint")


@pytest.fixture
def manifest(artefact):
    return replace(read_manifest(artefact), runtime=ORT_CUDA)


@pytest.fixture
def cuda(monkeypatch):
    """A simulated GPU, and an ONNX Runtime that says it can use it but computes on the CPU."""
    simulated = SimulatedCuda(total=4 << 30)
    monkeypatch.setattr(cuda_memory, "cuda", simulated)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort_cuda, "providers", lambda _stream: [CPU])
    return simulated


def test_a_box_without_a_driver_says_that_first(artefact, manifest, monkeypatch):
    def absent(_flags):
        raise RuntimeError("no library")

    monkeypatch.setattr(driver, "cuInit", absent)
    with pytest.raises(MissingProgramError, match="no NVIDIA driver"):
        open_runner(artefact, manifest, slots=1, capacity=64, config=EngineConfig())


def test_an_onnx_runtime_for_the_cpu_is_refused(monkeypatch):
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    with pytest.raises(MissingProgramError, match=r"only the CPU.*onnxruntime-gpu"):
        check_provider()


def test_a_session_that_fell_back_to_the_cpu_is_refused(artefact, manifest, cuda):
    with pytest.raises(MissingProgramError, match="cannot compute on the GPU: a library"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=64)
    assert cuda.used == 0


def test_the_options_are_texts_and_name_the_stream():
    (name, options), last = providers(1234)
    assert (name, last) == (CUDA, CPU)
    assert options["user_compute_stream"] == "1234"
    assert all(isinstance(value, str) for value in options.values())


def test_too_little_free_memory_is_refused_before_the_graph_is_loaded(artefact, manifest, cuda, monkeypatch):
    monkeypatch.setattr(ort_cuda, "open_session", None)
    cuda.total = 1 << 30
    with pytest.raises(NoSpaceError, match=r"the GPU has 1,074 MB free, and 1,07\d MB are needed"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=64)


def test_memory_in_too_small_pieces_is_called_fragmented(artefact, manifest, cuda, monkeypatch):
    monkeypatch.setattr(ort_cuda, "check_computes_on_gpu", lambda _session: None)
    cuda.largest = 1 << 17
    with pytest.raises(
        NoSpaceError, match=r"fragmented: 4,295 MB were free for .* yet not enough memory for a cache of"
    ):
        open_cuda_runner(artefact, manifest, slots=2, capacity=4096)


def test_slots_that_fill_a_tile_and_find_no_room_are_counted_and_not_called_fragments(
    artefact, manifest, cuda, monkeypatch
):
    monkeypatch.setattr(ort_cuda, "check_computes_on_gpu", lambda _session: None)
    monkeypatch.setattr(ort_runner, "find_tile", lambda _run: LARGEST_TILE)
    monkeypatch.setattr(ort_runner, "least_alike", lambda _sizes, _is_alike: LARGEST_TILE)
    capacity = 4096
    # Room for the slots that were asked for, and for three more.
    cache = (LARGEST_TILE + 3) * (capacity + LONGEST_TRIAL) * manifest.shape.cache_bytes_per_token
    weights = sum(entry.size_bytes for entry in manifest.files if entry.name.startswith("model.onnx"))
    free = cache + weights + RESERVE_BYTES
    monkeypatch.setattr(cuda_memory.CudaMemory, "free_bytes", lambda _memory: free)
    cuda.total = cache
    with pytest.raises(
        NoSpaceError, match=rf"not enough memory for a cache of 15 slots .* \(15 slots of {capacity}"
    ) as caught:
        open_cuda_runner(artefact, manifest, slots=8, capacity=capacity)
    assert "fragmented" not in caught.value.message
    assert "would fit" in caught.value.hint


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    "message",
    [
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc",
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 544997376",
    ],
)
def test_weights_that_find_no_memory_are_refused_with_the_sum(artefact, manifest, monkeypatch, message):
    def fail(*_args, **_options):
        raise RuntimeError(message)

    monkeypatch.setattr(ort, "InferenceSession", fail)
    with pytest.raises(NoSpaceError, match=r"not enough memory for the weights of model\.onnx") as caught:
        open_cuda_runner(artefact, manifest, slots=2, capacity=64)
    assert "fragmented" in caught.value.message
    assert "weights " in caught.value.message


def test_a_session_on_the_cpu_is_told_from_one_on_the_gpu(artefact):
    with pytest.raises(MissingProgramError):
        check_computes_on_gpu(open_session(artefact / "model.onnx", [CPU], 1))


def test_slots_of_a_gpu_share_its_cache_while_those_of_main_memory_do_not():
    config = EngineConfig(slots=3, cache_bytes=90 * SHAPE.cache_bytes_per_token)
    there = replace(MANIFEST, runtime=ORT_CUDA)
    assert context_tokens(MANIFEST, config) == 90
    # As many slots again keep finished sequences.
    assert context_tokens(there, config) == 15
    assert context_tokens(there, replace(config, prefix_cache=False)) == 30
    assert context_tokens(there, replace(config, max_context_tokens=15)) == 15
    with pytest.raises(UsageError, match=r"hold 90, in each of 6 slots 15"):
        context_tokens(there, replace(config, max_context_tokens=16))


def test_a_runner_for_the_gpu_tells_the_attention_the_capacity(artefact, manifest, cuda, monkeypatch):
    made = {}

    class Recorded(OrtRunner):
        def __init__(self, session, memory, shape, **options):
            made.update(options, session=session, memory=memory, shape=shape)

    monkeypatch.setattr(ort_cuda, "check_computes_on_gpu", lambda _session: None)
    monkeypatch.setattr(ort_cuda, "OrtRunner", Recorded)
    open_cuda_runner(artefact, manifest, slots=2, capacity=64)
    assert (made["slots"], made["capacity"], made["on_device"]) == (2, 64, True)
    assert made["memory"].free_bytes() == cuda.total
