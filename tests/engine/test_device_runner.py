"""The runner as it is on a GPU: a graph that lists candidates, memory behind CUDA's calls. The CPU computes here."""

import gc
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import TOKENIZER
from appliance.engine import cuda_memory
from appliance.engine.cuda_memory import CudaMemory
from appliance.engine.engine import Engine
from appliance.engine.exactness import LARGEST_TILE, LONGEST_TRIAL
from appliance.engine.grammar_client import GrammarHost
from appliance.engine.memory import HostMemory
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, open_session
from appliance.engine.runner import MAX_SCORED_ROWS
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import DeviceLostError, EngineError, UnavailableError
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishReason
from appliance.inference.sampling import SamplingParams
from tests.engine.simulated_cuda import SimulatedCuda
from tests.engine.steps import collect, decode, prefill, prompt, score
from tests.engine.test_engine import drain, submit
from tests.refusals import refused
from tests.tiny_artefact import make_tiny_artefact
from tests.waiting import LIMIT_S

CAPACITY = 192
LISTED = 64
CONFIG = EngineConfig(slots=4, max_context_tokens=CAPACITY, threads=1, interleaved_chunk_tokens=16)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    """A tiny artefact beside whose graph is another that lists candidates too."""
    folder = tmp_path_factory.mktemp("device")
    made = make_tiny_artefact(folder / "artefact", folder / "checkpoint")
    tokens = read_manifest(made).shape.tokens
    model = onnx.load(made / "model.onnx", load_external_data=False)
    graph = model.graph
    for name, values in {"start": [0], "end": [tokens], "axis": [1], "k": [LISTED]}.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], values))
    graph.node.extend(
        [
            helper.make_node("Slice", ["logits", "start", "end", "axis"], ["known"]),
            helper.make_node("TopK", ["known", "k"], ["candidate_logits", "candidate_ids"], axis=1),
            helper.make_node("ReduceLogSumExp", ["known", "axis"], ["log_normaliser"], keepdims=0),
        ]
    )
    for name, kind, shape in (
        ("candidate_logits", TensorProto.FLOAT, ["wanted", LISTED]),
        ("candidate_ids", TensorProto.INT64, ["wanted", LISTED]),
        ("log_normaliser", TensorProto.FLOAT, ["wanted"]),
    ):
        graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    onnx.save(model, made / "listing.onnx")
    return made


@pytest.fixture
def cuda(monkeypatch):
    simulated = SimulatedCuda()
    monkeypatch.setattr(cuda_memory, "cuda", simulated)
    return simulated


class Memory(CudaMemory):
    """CUDA's, where the CPU can compute."""

    device_type = "cpu"


class Session:
    """One on the simulated GPU: its work comes after what the stream has waiting, and may fail as ONNX Runtime does."""

    def __init__(self, session, cuda):
        self._session, self._cuda = session, cuda
        self.failures = []
        self.gate = threading.Event()
        self.gate.set()

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run_with_iobinding(self, binding):
        self._cuda.run()
        self.gate.wait(LIMIT_S)
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise RuntimeError(failure)
        self._session.run_with_iobinding(binding)


def device_runner(artefact, cuda, slots=5):
    session = Session(open_session(artefact / "listing.onnx", [CPU], 1), cuda)
    shape = read_manifest(artefact).shape
    return OrtRunner(session, Memory(), shape, slots=slots, capacity=CAPACITY, on_device=True)


@pytest.fixture
def runner(artefact, cuda):
    return device_runner(artefact, cuda)


def plain_runner(artefact, slots=5):
    shape = read_manifest(artefact).shape
    session = open_session(artefact / "model.onnx", [CPU], 1)
    return OrtRunner(session, HostMemory(), shape, slots=slots, capacity=CAPACITY)


@pytest.fixture
def plain(artefact):
    return plain_runner(artefact)


def engine_over(artefact, runner):
    """An engine over a runner of 8 slots."""
    manifest = read_manifest(artefact)
    file = artefact / TOKENIZER
    grammars = GrammarHost(file, manifest.shape.tokens, manifest.generation.eos_token_ids)
    return Engine(manifest, Tokenizer.load(file), grammars, runner, CONFIG)


def test_logits_are_those_of_the_runner_in_main_memory(runner, plain):
    tokens = [prompt(11 + 20 * slot, seed=slot) for slot in range(4)]
    for slot, of in enumerate(tokens):
        assert np.array_equal(prefill(runner, slot, of, 8), prefill(plain, slot, of, 8))
    steps = [(4, 3), (2, 8), (4, 9), (1, 1), (3, 2)]
    grown = [len(of) for of in tokens]
    for rows, token in steps:
        mine, theirs = (decode(each, [token] * rows, grown[:rows]) for each in (runner, plain))
        assert np.allclose(mine, theirs, atol=1e-5)
        for slot in range(rows):
            grown[slot] += 1


def test_the_rows_of_a_prompt_are_scored_as_in_main_memory(runner, plain, filled):
    tokens = prompt(77, seed=9)
    expected = score(plain, 1, tokens, 48, 72)
    for each in (runner, filled):
        assert np.allclose(score(each, 2, tokens, 8, 64), expected, atol=1e-5)
    scorer = runner.scorer
    rows = scorer.score(0, 0, tokens[:20]).rows(range(20))[:, : runner._shape.tokens].astype(np.float64)
    listed = scorer.score(0, 0, tokens[:20]).candidates(range(20))
    assert np.allclose(listed.log_normaliser, np.log(np.exp(rows).sum(axis=1)), atol=1e-4)


@pytest.fixture
def filled(artefact, cuda, monkeypatch):
    """A runner that takes every chunk of less than the longest trial for one of another kernel."""
    trials = OrtRunner._is_chunk_alike
    monkeypatch.setattr(OrtRunner, "_is_chunk_alike", lambda self, rows: trials(self, rows) and rows == LONGEST_TRIAL)
    return device_runner(artefact, cuda)


def test_a_chunk_is_as_long_as_its_prompt_where_that_changes_no_bit(runner):
    assert runner._least_chunk == LARGEST_TILE


def test_a_short_chunk_is_filled_up_and_its_logits_are_its_own(filled, plain):
    assert filled._least_chunk == LONGEST_TRIAL
    tokens = prompt(CAPACITY, seed=3)
    for edges in ((), (8,), (40, 48), (184,)):  # the last are filled up past the slot's tokens
        assert np.allclose(prefill(filled, 1, tokens, *edges), prefill(plain, 1, tokens, *edges), atol=1e-5)


def test_what_a_chunk_was_filled_with_is_neither_seen_nor_moved(filled, plain):
    tokens = prompt(9, seed=5)
    for each in (filled, plain):
        prefill(each, 0, tokens)
        each.copy(0, 2, 8)
        each.prefill(2, 8, [3, 4])
        decode(each, [5], [9])
    ends = [decode(each, [6, 6, 6], [10, 1, 10]) for each in (filled, plain)]
    assert np.allclose(ends[0][[0, 2]], ends[1][[0, 2]], atol=1e-5)


def test_the_room_that_chunks_are_filled_into_holds_no_tokens(filled):
    with refused(EngineError, CAPACITY):
        filled.prefill(0, CAPACITY - 1, [1, 2])
    with refused(EngineError, CAPACITY):
        filled.decode([1], [CAPACITY])


def test_a_row_depends_neither_on_its_neighbours_nor_on_how_long_they_are(runner):
    tokens = prompt(9)
    prefill(runner, 0, tokens)
    alone = decode(runner, [7], [9])
    prefill(runner, 0, tokens)
    prefill(runner, 1, prompt(150, seed=1))
    assert np.array_equal(decode(runner, [7, 7], [9, 150])[:1], alone)


def test_candidates_are_the_likeliest_tokens_of_the_rows_asked_for(runner):
    for slot in range(4):
        prefill(runner, slot, prompt(10 + slot, seed=slot))
    logits = runner.decode([1, 2, 3, 4], [10, 11, 12, 13])
    rows = logits.rows([3, 1])
    listed = logits.candidates([3, 1])
    known = rows[:, : listed.tokens].astype(np.float64)
    assert np.array_equal(listed.logits, -np.sort(-rows[:, : listed.tokens], axis=1)[:, :LISTED])
    assert np.array_equal(np.take_along_axis(rows, listed.ids, axis=1), listed.logits)
    assert listed.log_normaliser == pytest.approx(np.log(np.exp(known).sum(axis=1)), abs=1e-5)


def test_a_graph_without_candidates_offers_whole_rows(plain):
    assert plain.prefill(0, 0, [1, 2, 3]).candidates([0]) is None


def test_rows_move_on_the_device(runner, plain):
    first, second = prompt(40, seed=1), prompt(23, seed=2)
    for each in (runner, plain):
        prefill(each, 3, first)
        prefill(each, 0, second)
        each.swap(3, len(first), 0, len(second))
        each.copy(3, 1, len(second))
        each.release(3, 0)
    lengths = [len(first), len(second)]
    assert np.allclose(decode(runner, [5, 6], lengths), decode(plain, [5, 6], lengths), atol=1e-5)


def test_the_cache_is_all_that_is_kept_for_the_slots(artefact, cuda):
    shape = read_manifest(artefact).shape
    runner = device_runner(artefact, cuda, slots=10)
    cache = (10 + runner._tile - 1) * (CAPACITY + LONGEST_TRIAL) * shape.cache_bytes_per_token
    outputs = max(10 + 7, MAX_SCORED_ROWS) * (shape.vocabulary * 4 + LISTED * 12)
    assert cache < cuda.used < cache + outputs + 64 * 1024
    del runner
    gc.collect()
    assert cuda.used == 0


SAMPLINGS = {
    "greedy": {"temperature": 0.0},
    "greedy with log-probabilities": {"temperature": 0.0, "logprobs": 5},
    "top_k": {"top_k": 20, "seed": 5},
    "top_p": {"top_p": 0.4, "seed": 5},
    "all": {"temperature": 1.3, "seed": 5},
    "penalties": {"temperature": 0.0, "repetition_penalty": 1.3},
}


def test_an_engine_on_a_device_gives_the_tokens_of_the_one_in_main_memory(artefact, cuda):
    trunk = prompt(80, seed=4)
    prompts = [[*trunk[: 20 + 10 * i], *prompt(3 + i, seed=i)] for i in range(6)]
    here = engine_over(artefact, plain_runner(artefact, slots=8))
    there = engine_over(artefact, device_runner(artefact, cuda, slots=8))
    for name, options in SAMPLINGS.items():
        sampling = SamplingParams(max_tokens=12, ignore_eos=True, **options)
        assert collect(there, prompts, sampling, name)[0] == collect(here, prompts, sampling, name)[0]
    here.close()
    there.close()


LOST = "CUDA failure 719: unspecified launch failure ; GPU=0 ; file=cuda_stream_handle.cc ; line=81"


@pytest.mark.parametrize("code", [700, 719, 999])
def test_a_device_that_is_lost_in_a_step_is_an_error_of_its_own(runner, code):
    runner._session.failures = [
        f"Non-zero status code returned. CUDA failure {code}: unspecified launch failure ; GPU=0"
    ]
    with refused(DeviceLostError, "GPU", f"CUDA failure {code}"):
        runner.prefill(0, 0, [1, 2])


@pytest.mark.parametrize(
    "message", ["CUDA failure 2: out of memory ; GPU=0", "CUBLAS failure 3: the GPU program failed"]
)
def test_other_faults_concern_one_step(runner, message):
    runner._session.failures = [message]
    with refused(EngineError, "ONNX Runtime") as caught:
        runner.prefill(0, 0, [1, 2])
    assert not isinstance(caught.value, DeviceLostError)
    assert np.isfinite(prefill(runner, 0, [1, 2])).all()


def test_a_device_lost_under_load_ends_every_request_and_the_engine_at_once(artefact, cuda):
    runner = device_runner(artefact, cuda, slots=8)
    engine = engine_over(artefact, runner)
    runner._session.failures = [None] * 30 + [LOST]
    runner._session.gate.clear()
    endless = SamplingParams(temperature=0.0, max_tokens=100, ignore_eos=True)
    streams = [submit(engine, prompt=(1, 2, index), sampling=endless, name=str(index)) for index in range(6)]
    runner._session.gate.set()
    for events in streams:
        finish = drain(events)[-1]
        assert finish.reason is FinishReason.ERROR
        assert isinstance(finish.error, DeviceLostError)
    assert runner._session.failures == []
    assert not engine.stats().accepts_requests
    with refused(UnavailableError, "GPU"):
        submit(engine)
    engine.close()
