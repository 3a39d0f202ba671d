"""The engine over TensorRT's runner: answers depend on the prompt alone, and a lost GPU ends it at once."""

import dataclasses
import queue

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import TOKENIZER
from appliance.engine import cuda_memory, runners
from appliance.engine.engine import Engine
from appliance.engine.grammar_client import GrammarHost
from appliance.engine.request import Request
from appliance.engine.runners import open_runner
from appliance.engine.tokenizer import Tokenizer
from appliance.engine.trt_runner import TrtRunner
from appliance.errors import DeviceLostError, EngineError, IntegrityError, UnavailableError, UsageError
from appliance.gpu import lost
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishEvent
from appliance.inference.sampling import SamplingParams
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.find import Flavour, load_tensorrt
from appliance.tensorrt.plan_store import PlanStore
from tests.engine.device_on_host import FiniteMemory, open_executor, plan, tiny_graph
from tests.engine.simulated_cuda import SimulatedCuda
from tests.engine.steps import collect, prompt
from tests.refusals import refused
from tests.tensorrt.conftest import DRIVER, L4, PROFILE, Heard, no_smoke
from tests.tensorrt.step_graph import make_plan_artefact
from tests.tiny_artefact import make_tiny_artefact
from tests.waiting import LIMIT_S

CONTEXT = 160
CONFIG = EngineConfig(slots=4, max_context_tokens=CONTEXT, interleaved_chunk_tokens=16)
SAMPLINGS = {
    "greedy": {"temperature": 0.0},
    "greedy with log-probabilities": {"temperature": 0.0, "logprobs": 5},
    "top_p": {"top_p": 0.4, "seed": 5},
    "penalties": {"temperature": 0.0, "repetition_penalty": 1.3},
}


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """An artefact, for its words, and the graph and shape of the same model for TensorRT."""
    folder = tmp_path_factory.mktemp("box")
    artefact = make_tiny_artefact(folder / "artefact", folder / "words")
    graph, shape = tiny_graph(folder, "qwen2")
    return artefact, graph, dataclasses.replace(shape, tokens=read_manifest(artefact).shape.tokens)


def engine_over(box, memory, **changes):
    artefact, graph, shape = box
    config = dataclasses.replace(CONFIG, **changes)
    slots = config.slots * (2 if config.prefix_cache else 1)
    executor = open_executor(plan(graph, capacity=CONTEXT + 64, batch=config.slots), shape, slots, memory)
    runner = TrtRunner(executor, shape, slots=slots, running=config.slots, capacity=CONTEXT)
    manifest = read_manifest(artefact)
    manifest = dataclasses.replace(manifest, task=dataclasses.replace(manifest.task, shape=shape))
    file = artefact / TOKENIZER
    grammars = GrammarHost(file, manifest.shape.tokens, manifest.generation.eos_token_ids)
    return Engine(manifest, Tokenizer.load(file), grammars, runner, config)


@pytest.mark.parametrize("options", SAMPLINGS.values(), ids=SAMPLINGS)
def test_answers_depend_on_nothing_but_the_prompt(box, options):
    sampling = SamplingParams(max_tokens=24, ignore_eos=True, **options)
    trunk = prompt(80, seed=4)
    prompts = [[*trunk[: 20 + 10 * i], *prompt(3 + i, seed=i)] for i in range(6)]
    plain = engine_over(box, FiniteMemory(), slots=1, prefix_cache=False, prefill_chunk_tokens=1024)
    alone = [collect(plain, [tokens], sampling, f"{index}")[0][0] for index, tokens in enumerate(prompts)]
    plain.close()
    engine = engine_over(box, FiniteMemory())
    first, _ = collect(engine, prompts, sampling, "a")
    again, usages = collect(engine, prompts, sampling, "b")
    engine.close()
    assert first == alone
    assert again == alone
    assert all(usage.cached_tokens > 0 for usage in usages)


def test_a_gpu_lost_under_load_ends_all_requests_and_the_engine_at_once(box):
    memory = FiniteMemory()
    engine = engine_over(box, memory)
    ends, started = queue.SimpleQueue(), queue.SimpleQueue()
    sampling = SamplingParams(temperature=0.0, max_tokens=120, ignore_eos=True)

    def take(event):
        (ends if isinstance(event, FinishEvent) else started).put(event)

    for index in range(4):
        engine.submit(Request(f"{index}", tuple(prompt(9, seed=index)), sampling), take)
    for _ in range(8):
        started.get(timeout=LIMIT_S)
    memory.error = lost("cudaErrorIllegalAddress (CUDA failure 700)")
    for _ in range(4):
        assert isinstance(ends.get(timeout=LIMIT_S).error, DeviceLostError)
    engine._thread.join(60)
    with refused(UnavailableError, "stopped", "cudaErrorIllegalAddress"):
        engine.submit(Request("late", (1, 2, 3), sampling), ends.put)
    engine.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with an artefact, and the folder of a real plan of it, for a GPU that is not there."""
    folder = tmp_path_factory.mktemp("built") / "artefact"
    manifest = make_plan_artefact(folder)
    site = BuildInputs(folder, manifest, load_tensorrt(Flavour.RTX), L4, DRIVER, PROFILE, PROFILE.slots)
    return folder, ensure_plan(PlanStore(folder.parent / "engines"), site, no_smoke, Heard()).folder


@pytest.fixture
def opened(monkeypatch, built):
    """Opens the plan, on a GPU as far as CUDA's runtime says; TensorRT's own driver knows nothing of it."""
    monkeypatch.setattr(runners, "find_gpu", lambda: L4)
    monkeypatch.setattr(cuda_memory, "cuda", SimulatedCuda(total=2 << 30))
    folder, proved = built

    def open_it(**changes):
        config = dataclasses.replace(EngineConfig(slots=2, plan=str(proved)), **changes)
        return open_runner(folder, read_manifest(folder), slots=4, capacity=64, config=config)

    return open_it


def test_a_real_plan_is_proved_and_reaches_tensorrt(opened):
    """TensorRT refuses it here, where there is no driver, with its own words."""
    with refused(EngineError, "TensorRT"):
        opened()


def test_a_plan_that_is_not_proved_never_reaches_tensorrt(opened, monkeypatch):
    def refuse(*_):
        raise IntegrityError("changed")

    monkeypatch.setattr("appliance.tensorrt.open_plan.read_plan", refuse)
    with pytest.raises(IntegrityError, match="changed"):
        opened()


def test_an_artefact_for_tensorrt_without_a_plan_says_what_builds_one(opened):
    with refused(UsageError, "appliance up"):
        opened(plan=None)
