"""The engine on the real model: no batch, chunk, cached prefix or preemption changes a greedy answer."""

import dataclasses
import json
import queue
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import GRAPH
from appliance.engine.engine import Engine
from appliance.engine.ort_session import CPU, open_session
from appliance.engine.request import Request
from appliance.engine.scheduler import HEADROOM_ROWS
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishEvent, FinishReason
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.engine.schemas import HAND_WRITTEN
from tests.real_model import NAME, artefact_of

pytestmark = pytest.mark.model
COMPLETION_TOKENS = 24
GREEDY = SamplingParams(temperature=0.0, max_tokens=COMPLETION_TOKENS, ignore_eos=True)
SYSTEM = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
QUESTIONS = (
    "Write a Python function that reverses a string.",
    "What is the capital of France?",
    "写一首关于秋天的短诗。",
    "Explain what this line does: `return {k: v for k, v in items if v}`.",
    "Nenne drei Farben.",
)
# One thread takes less time than two that wait for each other, and what several compute must be the same.
PLAIN = EngineConfig(
    slots=1, max_context_tokens=2048, cache_bytes=256 << 20, prefix_cache=False, prefill_chunk_tokens=2048, threads=1
)
SHARED = dataclasses.replace(
    PLAIN, slots=4, prefix_cache=True, prefill_chunk_tokens=96, interleaved_chunk_tokens=32, threads=2
)


@pytest.fixture(scope="module")
def folder(real_box):
    return artefact_of(real_box)


@pytest.fixture(scope="module")
def golden():
    return json.loads((Path(__file__).parents[1] / "golden" / f"{NAME}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def alone(folder):
    """Prompts of all lengths, and each one's answer when nothing else runs, nothing is cached and nothing is cut."""
    engine = Engine.load(folder, PLAIN)
    prompts = prompts_of(engine)
    answers = [ask(engine, [prompt])[0][0] for prompt in prompts]
    engine.close()
    return prompts, answers


@pytest.fixture(scope="module")
def shared(folder):
    """An engine for tests whose prompts nobody else asks for."""
    engine = Engine.load(folder, SHARED)
    yield engine
    engine.close()


def prompts_of(engine):
    chats = [f"{SYSTEM}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in QUESTIONS]
    long = Path(__file__).with_name("test_core.py").read_text(encoding="utf-8")
    return [tuple(engine.tokenizer.encode(text)) for text in (*chats, long[:1200], long[:777], "def")]


def ask(engine, prompts, sampling=GREEDY):
    """Submit all prompts at once; return the tokens of each and the usages."""
    queues = [queue.SimpleQueue() for _ in prompts]
    for index, (prompt, events) in enumerate(zip(prompts, queues, strict=True)):
        engine.submit(Request(str(index), prompt, sampling), events.put)
    answers, usages = [], []
    for events in queues:
        answers.append([])
        while not isinstance(event := events.get(timeout=300), FinishEvent):
            answers[-1].extend(event.token_ids)
        assert event.error is None
        usages.append(event.usage)
    return answers, usages


@pytest.mark.proof
def test_answers_are_the_same_batched_chunked_and_from_a_cached_prefix(folder, alone):
    prompts, expected = alone
    engine = Engine.load(folder, SHARED)
    batched, _ = ask(engine, prompts)
    cached, usages = ask(engine, prompts)
    engine.close()
    assert batched == expected
    assert cached == expected
    assert sum(usage.cached_tokens for usage in usages) > sum(map(len, prompts)) // 2


@pytest.mark.proof
def test_answers_are_the_same_when_memory_is_short_and_a_sequence_is_set_back(folder, alone):
    prompts, expected = alone
    longer = dataclasses.replace(GREEDY, max_tokens=100)
    longest = max(map(len, prompts[:2]))
    shape = read_manifest(folder).shape
    tight = dataclasses.replace(
        SHARED,
        max_context_tokens=longest + 100,
        cache_bytes=shape.cache_bytes_per_token * 2 * (longest + HEADROOM_ROWS),
    )
    engine = Engine.load(folder, tight)
    answers, _ = ask(engine, prompts[:2], longer)
    assert engine.stats().preemptions_total > 0
    engine.close()
    assert [answer[:COMPLETION_TOKENS] for answer in answers] == expected[:2]
    engine = Engine.load(folder, PLAIN)
    assert [ask(engine, [prompt], longer)[0][0] for prompt in prompts[:2]] == answers
    engine.close()


@pytest.mark.proof
def test_the_engine_s_log_probabilities_are_those_of_transformers_within_the_preset_s_loss(folder, golden):
    engine = Engine.load(folder, PLAIN)
    sampling = SamplingParams(temperature=0.0, max_tokens=1, logprobs=20)
    for number, prompt in enumerate(golden["prompts"]):
        events = queue.SimpleQueue()
        engine.submit(Request(f"{number}", tuple(prompt["ids"]), sampling), events.put)
        (found,) = events.get(timeout=300).logprobs
        last = prompt["best"][-1]
        assert last["row"] == len(prompt["ids"]) - 1
        assert found.token_id == prompt["completion"][0] == last["ids"][0]
        known = dict(found.top)
        for token, logit in zip(last["ids"][:5], last["logits"], strict=False):
            assert known[token] - found.logprob == pytest.approx(logit - last["logits"][0], abs=1.0), prompt["text"]
    engine.close()


@pytest.mark.proof
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_the_real_model_s_answers_match_their_schemas(shared, temperature):
    names = (
        "person",
        "extraction",
        "weather tool",
        "oneOf told apart by a const",
        "enum unicode",
        "const with a special token's name",
        "const in another form of Unicode",
        "pydantic",
    )
    ids = shared.tokenizer.encode(f"{SYSTEM}<|im_start|>user\nMake something up.<|im_end|>\n<|im_start|>assistant\n")
    asked = []
    for name in names:
        wanted = StructuredOutput.from_mapping({"json": HAND_WRITTEN[name]})
        sampling = SamplingParams(temperature=temperature, seed=1, max_tokens=400, structured_outputs=wanted)
        asked.append((name, queue.SimpleQueue()))
        shared.submit(Request(f"{name} {temperature}", tuple(ids), sampling), asked[-1][1].put)
    for name, events in asked:
        text = ""
        while not isinstance(event := events.get(timeout=300), FinishEvent):
            text += event.text
        assert event.reason is FinishReason.STOP, name
        jsonschema.validate(json.loads(text), HAND_WRITTEN[name])


@pytest.mark.proof
def test_the_log_probabilities_of_a_prompt_are_those_of_the_graph_s_logits(folder, shared):
    prompts = prompts_of(shared)[1:8:3]
    expected = all_logprobs(folder, prompts)
    # The second round finds each prompt in the cache.
    for prompt_logprobs in (0, 3):
        sampling = SamplingParams(temperature=0.0, max_tokens=0, prompt_logprobs=prompt_logprobs)
        queues = [queue.SimpleQueue() for _ in prompts]
        for index, (prompt, events) in enumerate(zip(prompts, queues, strict=True)):
            shared.submit(Request(f"{index} {prompt_logprobs}", prompt, sampling), events.put)
        for prompt, events, whole in zip(prompts, queues, expected, strict=True):
            found = []
            while not isinstance(event := events.get(timeout=300), FinishEvent):
                found += event.logprobs
            assert event.error is None
            assert [score.token_id for score in found] == list(prompt[1:])
            for row, token, score in zip(whole[:-1], prompt[1:], found, strict=True):
                assert score.logprob == pytest.approx(row[token], abs=1e-3)
                assert [row[other] for other, _ in score.top] == pytest.approx(
                    np.sort(row)[::-1][:prompt_logprobs], abs=1e-3
                )


def all_logprobs(folder, prompts):
    """Log-softmax of all rows of the artefact's graph, computed by ONNX Runtime on an empty cache, for each prompt."""
    shape = read_manifest(folder).shape
    session = open_session(folder / GRAPH, [CPU], None)
    past = [given.name for given in session.get_inputs() if given.name.startswith("past_key_values")]
    empty = np.zeros((1, shape.kv_heads, 0, shape.head_dim), np.float32)
    found = []
    for prompt in prompts:
        count = len(prompt)
        inputs = {
            "input_ids": np.array([prompt], np.int64),
            "seqlens_k": np.array([count - 1], np.int32),
            "total_sequence_length": np.array(count, np.int32),
            "logits_rows": np.arange(count),
        }
        (logits,) = session.run(["logits"], inputs | dict.fromkeys(past, empty))
        logits = logits[:, : shape.tokens].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        found.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    return found
