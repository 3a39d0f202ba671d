"""What opens a graph on the GPU, as far as a machine without one can tell."""

from dataclasses import replace

import pytest
from cuda.bindings import driver

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import ORT_CUDA
from appliance.capacity import RUNTIME_BYTES
from appliance.engine import cuda_memory
from appliance.engine.budget import context_tokens
from appliance.engine.cuda_memory import CudaMemory
from appliance.engine.exactness import LARGEST_TILE, LONGEST_TRIAL
from appliance.engine.ort_cuda import check_computes_on_gpu, open_cuda_runner
from appliance.engine.ort_session import CPU, CUDA, open_session
from appliance.engine.runners import open_runner
from appliance.errors import MissingProgramError, NoSpaceError, UsageError
from appliance.extras import install_command
from appliance.inference.config import EngineConfig
from appliance.onnx_runtime import ort
from tests.engine.simulated_cuda import SimulatedCuda
from tests.engine.simulated_session import SimulatedRuntime
from tests.engine.toy import MANIFEST, SHAPE
from tests.refusals import refused
from tests.tiny_artefact import make_tiny_artefact


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuda")
    return make_tiny_artefact(folder / "artefact", folder / "checkpoint")


@pytest.fixture
def manifest(artefact):
    return replace(read_manifest(artefact), runtime=ORT_CUDA)


@pytest.fixture
def runtime(monkeypatch):
    """An ONNX Runtime for CUDA, and its GPU: both are packages that a box without a GPU has in another form."""
    simulated = SimulatedRuntime(SimulatedCuda(total=4 << 30))
    monkeypatch.setattr(cuda_memory, "cuda", simulated.cuda)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", simulated.open)
    return simulated


def test_a_box_without_a_driver_says_that_first(artefact, manifest, monkeypatch):
    def absent(_flags):
        raise RuntimeError("no library")

    monkeypatch.setattr(driver, "cuInit", absent)
    with pytest.raises(MissingProgramError, match="driver"):
        open_runner(artefact, manifest, slots=1, capacity=64, config=EngineConfig())


def test_an_onnx_runtime_for_the_cpu_is_refused(artefact, manifest, runtime, monkeypatch):
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    with pytest.raises(MissingProgramError) as caught:
        open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    assert install_command("cuda", replaces="onnxruntime") in caught.value.hint
    assert runtime.options == []


def test_a_session_that_fell_back_to_the_cpu_is_refused(artefact, manifest, runtime):
    runtime.falls_back = True
    with pytest.raises(MissingProgramError) as caught:
        open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    assert "log" in caught.value.hint
    assert len(runtime.options) == 1
    assert runtime.cuda.used == 0


def test_the_provider_s_options_are_texts_and_name_the_stream_that_the_memory_has(artefact, manifest, runtime):
    open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    (options,) = runtime.options
    assert options["user_compute_stream"] == str(CudaMemory().stream)
    assert all(isinstance(value, str) for value in options.values())


def test_too_little_free_memory_is_refused_before_the_graph_is_loaded(artefact, manifest, runtime):
    runtime.cuda.total = 1 << 30
    with refused(NoSpaceError, "1.07 GB"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    assert runtime.options == []


def test_memory_in_too_small_pieces_is_called_fragmented(artefact, manifest, runtime):
    runtime.cuda.largest = 1 << 17
    with pytest.raises(NoSpaceError, match="fragmented"):
        open_cuda_runner(artefact, manifest, slots=2, capacity=4096, shared=False)


def test_the_slots_that_fill_a_tile_are_counted_before_the_graph_is_loaded(artefact, manifest, runtime):
    weights = sum(entry.size_bytes for entry in manifest.files if entry.name.startswith("model.onnx"))
    # Not enough by a byte for the largest tile.
    cache = (LARGEST_TILE - 1 + 8) * (4096 + LONGEST_TRIAL) * manifest.shape.cache_bytes_per_token
    runtime.cuda.total = cache + weights + RUNTIME_BYTES - 1
    with refused(NoSpaceError, "15 slots of 4,160"):
        open_cuda_runner(artefact, manifest, slots=8, capacity=4096, shared=False)
    assert (runtime.options, runtime.cuda.used) == ([], 0)


@pytest.mark.parametrize(
    "message",
    [
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc",
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 544997376",
    ],
)
def test_weights_that_find_no_memory_are_refused_with_the_sum(artefact, manifest, runtime, message):
    runtime.failure = message
    with pytest.raises(NoSpaceError, match=r"model\.onnx") as caught:
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
    with pytest.raises(UsageError, match="max_context_tokens"):
        context_tokens(there, replace(config, max_context_tokens=16))


def test_decode_steps_on_a_gpu_tell_the_attention_the_length_of_a_slot_and_prompts_their_own(
    artefact, manifest, runtime
):
    runner = open_cuda_runner(artefact, manifest, slots=2, capacity=64, shared=False)
    runtime.runs.clear()
    runner.prefill(0, 0, list(range(16)))
    runner.decode([1, 2], [16, 1])
    assert runtime.runs == [((1, 16), 16), ((2, 1), 64 + LONGEST_TRIAL)]
