"""What opens a graph on the GPU, as far as a machine without one can tell."""

from dataclasses import replace

import pytest
from cuda.bindings import driver

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import ORT_CUDA
from appliance.capacity import RUNTIME_BYTES
from appliance.engine import cuda_memory, ort_cuda
from appliance.engine.budget import context_tokens
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
    with pytest.raises(MissingProgramError, match=r"on the CPU alone.*onnxruntime-gpu"):
        check_provider()


def test_a_session_that_fell_back_to_the_cpu_is_refused(artefact, manifest, cuda):
    with pytest.raises(MissingProgramError, match="cannot compute on the GPU: a library"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    assert cuda.used == 0


def test_the_options_are_texts_and_name_the_stream():
    (name, options), last = providers(1234)
    assert (name, last) == (CUDA, CPU)
    assert options["user_compute_stream"] == "1234"
    assert all(isinstance(value, str) for value in options.values())


def test_too_little_free_memory_is_refused_before_the_graph_is_loaded(artefact, manifest, cuda, monkeypatch):
    monkeypatch.setattr(ort_cuda, "open_session", None)
    cuda.total = 1 << 30
    with pytest.raises(NoSpaceError, match=r"does not fit .* = 1\.0\d GB, there are 1\.07 GB"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)


def test_memory_in_too_small_pieces_is_called_fragmented(artefact, manifest, cuda, monkeypatch):
    monkeypatch.setattr(ort_cuda, "check_computes_on_gpu", lambda _session: None)
    cuda.largest = 1 << 17
    with pytest.raises(NoSpaceError, match=r"fragmented.* there are 4\.29 GB\): no room for a cache of"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=4096, shared=False)


def test_the_slots_that_fill_a_tile_are_counted_before_the_graph_is_loaded(artefact, manifest, cuda, monkeypatch):
    monkeypatch.setattr(ort_cuda, "open_session", None)
    weights = sum(entry.size_bytes for entry in manifest.files if entry.name.startswith("model.onnx"))
    # Not enough by a byte for the largest tile.
    cache = (LARGEST_TILE - 1 + 8) * (4096 + LONGEST_TRIAL) * manifest.shape.cache_bytes_per_token
    free = cache + weights + RUNTIME_BYTES - 1
    monkeypatch.setattr(cuda_memory.CudaMemory, "free_bytes", lambda _memory: free)
    with pytest.raises(NoSpaceError, match=r"15 slots of 4,160 rows"):
        open_cuda_runner(artefact, manifest, slots=8, capacity=4096, shared=False)
    assert cuda.used == 0


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
    with pytest.raises(NoSpaceError, match=r"the weights of model\.onnx find no memory") as caught:
        open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
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
    open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    assert (made["slots"], made["capacity"], made["on_device"]) == (2, 64, True)
    assert made["memory"].free_bytes() == cuda.total
