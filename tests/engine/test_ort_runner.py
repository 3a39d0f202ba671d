"""The real graph form on ONNX Runtime: chunks, batches, moved slots and cached prefixes change no bit of an answer."""

import dataclasses
import weakref

import numpy as np
import onnx
import onnxruntime as ort_package
import pytest

from appliance.engine.engine import Engine
from appliance.engine.runner import MAX_SCORED_ROWS
from appliance.errors import EngineError, IntegrityError
from appliance.inference.config import EngineConfig
from appliance.inference.sampling import SamplingParams
from appliance.packed.rewrite import HEAD_DIMS, has_exact_rows
from tests.checkpoints import VOCABULARY
from tests.engine.steps import collect, decode, greedy_alone, prefill, prompt, score
from tests.engine.tiny_graphs import CAPACITY, KINDS, PACKED, has_our_attention, make_graph, nodes_of, open_runner
from tests.refusals import refused
from tests.tiny_artefact import make_tiny_artefact


@pytest.fixture(scope="module", params=KINDS, ids=" ".join)
def graph(request, tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp(request.param[0]), *request.param)


@pytest.fixture
def runner(graph):
    return open_runner(*graph, slots=5, capacity=CAPACITY)


def test_candidates_are_the_likeliest_tokens_of_the_rows_asked_for(graph, runner):
    prompts = [prompt(10 + slot, seed=slot) for slot in range(4)]
    for slot, tokens in enumerate(prompts):
        prefill(runner, slot, tokens)
    logits = runner.decode([1, 2, 3, 4], [len(tokens) for tokens in prompts])
    listed = logits.candidates([3, 1])
    if graph[0].parent.name != PACKED:
        assert listed is None
        return
    rows = logits.rows([3, 1])[:, :VOCABULARY]
    assert np.array_equal(listed.logits, -np.sort(-rows, axis=1)[:, :64])
    assert np.array_equal(np.take_along_axis(rows, listed.ids, axis=1), listed.logits)
    assert listed.log_normaliser == pytest.approx(np.log(np.exp(rows.astype(np.float64)).sum(axis=1)), abs=1e-5)


def test_a_graph_has_exact_rows_only_without_matrices_and_attention_of_onnx_runtime(graph):
    path, _ = graph
    model = onnx.load_model(path, load_external_data=False)
    foreign = {node.op_type for node in model.graph.node} & {"MatMul", "MatMulNBits", "GroupQueryAttention"}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert has_exact_rows(metadata) == (path.parent.name == PACKED and not foreign)


@pytest.mark.parametrize("edges", [(8,), (64,), (24, 56, 80), (96,)])
def test_a_prompt_in_chunks_gives_the_very_logits_of_the_whole(runner, edges):
    tokens = prompt(101)
    whole = prefill(runner, 0, tokens)
    assert np.array_equal(prefill(runner, 1, tokens, *edges), whole)


@pytest.mark.parametrize("edges", [(8, 16, 24, 40), (24, 56), (64,), (16, 80)])
def test_the_logits_of_a_prompts_rows_do_not_depend_on_the_chunks(runner, edges):
    tokens = prompt(101)
    whole = score(runner, 0, tokens, 48, 96)
    assert np.array_equal(score(runner, 2, tokens, *edges), whole)
    # The rows of the cache are those that a prompt without scoring writes, and so is its last row of logits.
    scored = runner.prefill(2, 96, tokens[96:]).rows([0]).copy()
    assert np.array_equal(scored, prefill(runner, 1, tokens))
    assert scored[0] == pytest.approx(whole[-1], abs=1e-4)
    if runner.exact is not None:
        assert np.array_equal(scored[0], whole[-1])


def test_the_logits_of_a_prompts_rows_are_those_of_its_beginnings(runner):
    tokens = prompt(30)
    whole = score(runner, 0, tokens)
    for end in (9, 17, 24, 30):
        assert prefill(runner, 1, tokens[:end])[0] == pytest.approx(whole[end - 1], abs=1e-3)


def test_more_rows_than_a_step_can_score_are_refused(runner):
    with pytest.raises(EngineError):
        runner.scorer.score(0, 0, prompt(MAX_SCORED_ROWS + 1))


@pytest.mark.parametrize("rows", [2, 3, 4, 5])
def test_a_row_gives_the_very_logits_it_gives_alone_in_any_batch(runner, rows):
    prompts = [prompt(5 + 17 * i, seed=i) for i in range(rows)]
    alone = []
    for tokens in prompts:
        prefill(runner, 0, tokens)
        alone.append(decode(runner, [7], [len(tokens)])[0])
    for slot, tokens in enumerate(prompts):
        prefill(runner, slot, tokens)
    together = decode(runner, [7] * rows, [len(tokens) for tokens in prompts])
    assert together.shape == (rows, alone[0].size)
    for one, row in zip(alone, together, strict=True):
        assert np.array_equal(one, row)


def test_moved_rows_go_on_as_if_they_had_not_moved(runner):
    first, second = prompt(40, seed=1), prompt(23, seed=2)
    expected = [greedy_alone(runner, tokens, 6) for tokens in (first, second)]
    starts = [int(prefill(runner, slot, tokens).argmax()) for slot, tokens in ((3, first), (0, second))]
    runner.swap(3, len(first), 0, len(second))
    runner.copy(3, 1, len(second))
    runner.release(3, 0)
    completions = [[starts[0]], [starts[1]]]
    for step in range(5):
        last = [completion[-1] for completion in completions]
        logits = decode(runner, last, [len(first) + step, len(second) + step])
        for completion, row in zip(completions, logits, strict=True):
            completion.append(int(row.argmax()))
    assert completions == expected


def test_a_copied_prefix_gives_the_very_logits_of_a_fresh_prompt(runner):
    trunk = prompt(60)
    prefill(runner, 0, [*trunk, 1, 2, 3])
    tokens = [*trunk[:48], *prompt(20, seed=9)]
    runner.copy(0, 2, 48)
    shared = runner.prefill(2, 48, tokens[48:]).rows([0]).copy()
    assert np.array_equal(shared, prefill(runner, 3, tokens))


def test_what_a_step_reads_of_our_memory_lives_as_long_as_the_runner(graph, monkeypatch):
    bound = []
    of_numpy = ort_package.OrtValue.ortvalue_from_numpy

    def bind(array):
        bound.append(weakref.ref(array))
        value = of_numpy(array)
        value._numpy_obj = None  # some versions' bindings keep it, others do not
        return value

    monkeypatch.setattr(ort_package.OrtValue, "ortvalue_from_numpy", bind)
    runner = open_runner(*graph, slots=2, capacity=CAPACITY)
    bound.clear()
    runner.prefill(0, 0, prompt(20))
    for length in (20, 21):
        runner.decode([7], [length])
    assert len(bound) == 2  # one a binding, not one a step
    assert all(array() is not None for array in bound)


def test_a_batch_does_not_touch_the_slots_behind_it(runner):
    tokens = prompt(33)
    whole = prefill(runner, 0, [*tokens, 5, 6])
    for slot in range(4):
        prefill(runner, slot, tokens)
    for rows in (1, 2, 3):
        runner.decode([9] * rows, [len(tokens)] * rows)
    assert np.array_equal(runner.prefill(3, 32, [tokens[32], 5, 6]).rows([0]), whole)


def test_a_slot_can_be_filled_to_its_last_row_and_not_beyond(runner):
    prefill(runner, 0, prompt(CAPACITY - 1))
    assert np.isfinite(decode(runner, [1], [CAPACITY - 1])).all()
    with refused(EngineError, 257, 256):
        runner.decode([1], [CAPACITY])
    with refused(EngineError, 256):
        runner.prefill(1, 200, [1] * 57)


@pytest.mark.parametrize("token", [-1, 320, 10**9])
def test_a_token_beyond_the_table_never_reaches_the_kernel_which_would_read_it(runner, token):
    with refused(EngineError, 320):
        runner.prefill(0, 0, [1, token])
    with refused(EngineError, 320):
        runner.decode([token], [1])


def test_a_packed_graph_computes_a_row_alike_as_a_prompt_and_as_a_completion_with_any_number_of_threads(graph):
    path, shape = graph
    if not has_our_attention(path):
        return
    tokens = prompt(70)
    rows = []
    for threads in (1, 2, 5):
        runner = open_runner(path, shape, slots=2, capacity=CAPACITY, threads=threads)
        rows.append(prefill(runner, 0, tokens))
        prefill(runner, 1, tokens[:-1])
        runner.swap(0, len(tokens), 1, len(tokens) - 1)
        rows.append(decode(runner, tokens[-1:], [len(tokens) - 1]))
    assert all(np.array_equal(row, rows[0]) for row in rows)


def test_only_a_packed_graph_with_our_attention_is_exact(graph, runner):
    path, shape = graph
    assert (runner.exact is runner) == has_our_attention(path)
    # A layer with a window has ONNX Runtime's attention, and then all layers have: the cache has one arrangement.
    has_windows = any("local_window_size" in {each.name for each in node.attribute} for node in nodes_of(path))
    assert has_our_attention(path) == (path.parent.name == PACKED and shape.head_dim in HEAD_DIMS and not has_windows)


def test_verified_rows_have_the_very_bits_of_rows_decoded_one_by_one(runner):
    if runner.exact is None:
        return
    prompts = [prompt(length, seed=length) for length in (70, 9, 128, 33)]
    following = [prompt(6, seed=50 + slot) for slot in range(4)]
    decoded = [[] for _ in prompts]
    for slot, tokens in enumerate(prompts):
        prefill(runner, slot, tokens)
    for step in range(6):
        lengths = [len(tokens) + step for tokens in prompts]
        for rows, row in zip(decoded, decode(runner, [each[step] for each in following], lengths), strict=True):
            rows.append(row)
    for counts in ((1, 6, 2, 4), (6, 6), (1, 2), (3,), (6,), (1, 1, 1, 6), (5, 1, 1)):
        tokens = [each[:count] for each, count in zip(following, counts, strict=False)]
        lengths = [len(each) for each in prompts[: len(counts)]]
        found = runner.verify(tokens, lengths).rows(range(sum(counts)))
        expected = [row for rows, count in zip(decoded, counts, strict=False) for row in rows[:count]]
        assert np.array_equal(found, np.stack(expected))


def test_verified_rows_that_were_wrong_leave_no_trace(runner):
    if runner.exact is None:
        return
    tokens = prompt(60)
    expected = greedy_alone(runner, tokens, 8)
    prefill(runner, 0, tokens)
    found = expected[:1]
    while len(found) < 8:
        length = len(tokens) + len(found) - 1
        logits = runner.verify([[found[-1], *prompt(5, seed=length)], [1]], [length, 0])
        found.append(int(logits.rows([0]).argmax()))
    assert found == expected


def test_verified_rows_fit_a_full_slot_and_no_more_tokens_do(runner):
    if runner.exact is None:
        return
    prefill(runner, 0, prompt(CAPACITY - 1))
    prefill(runner, 1, prompt(20))
    whole = decode(runner, [1], [CAPACITY - 1])
    logits = runner.verify([[1], [1, 2, 3, 4, 5, 6]], [CAPACITY - 1, 20])
    assert np.array_equal(logits.rows([0]), whole)
    with refused(EngineError, 257, 256):
        runner.verify([[1, 2]], [CAPACITY - 1])
    with refused(EngineError, 320):
        runner.verify([[1, 320]], [3])
    with refused(EngineError, 7):
        runner.verify([[1] * 7], [3])
    with refused(EngineError, 6):
        runner.verify([[1] * 6] * 6, [3] * 6)


def test_an_error_of_onnx_runtime_is_an_engine_error(graph):
    path, shape = graph
    wrong = dataclasses.replace(shape, vocabulary=shape.vocabulary + 8)
    with refused(EngineError, "ONNX Runtime", "step"):
        open_runner(path, wrong, slots=1, capacity=8).prefill(0, 0, [1, 2])


def test_a_file_that_is_no_graph_is_an_engine_error(graph, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with refused(EngineError, "model.onnx"):
        open_runner(tmp_path / "model.onnx", graph[1], slots=1, capacity=8)


def test_an_artefact_is_loaded_and_its_answers_depend_on_nothing_but_the_prompt(tmp_path):
    folder = make_tiny_artefact(tmp_path / "artefact", tmp_path / "checkpoint")
    sampling = SamplingParams(temperature=0.0, max_tokens=24, ignore_eos=True)
    trunk = prompt(80, seed=4)
    prompts = [[*trunk[: 20 + 10 * i], *prompt(3 + i, seed=i)] for i in range(6)]
    config = EngineConfig(slots=4, max_context_tokens=160, threads=1, interleaved_chunk_tokens=16)
    plain = Engine.load(folder, dataclasses.replace(config, slots=1, prefix_cache=False, prefill_chunk_tokens=1024))
    alone = [collect(plain, [tokens], sampling)[0][0] for tokens in prompts]
    plain.close()
    engine = Engine.load(folder, config)
    first, _ = collect(engine, prompts, sampling, "a")
    again, usages = collect(engine, prompts, sampling, "b")
    engine.close()
    assert first == alone
    assert again == alone
    assert all(usage.cached_tokens > 0 for usage in usages)


def test_a_damaged_artefact_is_refused_before_any_session_is_made(tmp_path):
    folder = make_tiny_artefact(tmp_path / "artefact", tmp_path / "checkpoint")
    data = folder / "model.onnx.data"
    damaged = bytearray(data.read_bytes())
    damaged[1000] ^= 1
    data.write_bytes(damaged)
    with refused(IntegrityError, "model.onnx.data", "digest"):
        Engine.load(folder, EngineConfig(threads=1))
