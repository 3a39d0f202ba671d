"""The real `ollama` client's prompts against the gateway."""

from __future__ import annotations

import json

import ollama
import pytest

from tests.gateway.fake_triton import failure, piece, words
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL, BASE, TALKER = "tiny-instruct", "tiny-base", "tiny-talker"
THINKING = ("<think>\nI should", " look.\n</thi", "nk>\n\nLet me see.")


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def test_a_prompt_is_a_turn_of_the_user(llama, harness):
    harness.triton.script = words("one", " two")
    answer = llama.generate(model=MODEL, prompt="Once", system="Be brief", options={"num_predict": 5})
    assert (answer.response, answer.done, answer.done_reason, answer.model) == ("one two", True, "stop", MODEL)
    assert (answer.prompt_eval_count, answer.eval_count) == (len(harness.triton.asked[0].prompt_ids), 2)
    llama.chat(
        model=MODEL,
        messages=[{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Once"}],
        options={"num_predict": 5},
    )
    generated, chatted = harness.triton.asked
    assert (generated.prompt_ids, generated.sampling) == (chatted.prompt_ids, chatted.sampling)


def test_a_stream_has_the_text_and_the_thoughts(llama, harness):
    harness.triton.script = words(*THINKING)
    *chunks, last = llama.generate(model=TALKER, prompt="Once", stream=True)
    assert "".join(chunk.thinking or "" for chunk in chunks) == "I should look."
    assert "".join(chunk.response for chunk in chunks) == "Let me see."
    assert (last.response, last.done, last.eval_count) == ("", True, 3)


@pytest.mark.parametrize(("model", "raw"), [(MODEL, True), (BASE, None), (BASE, False), (BASE, True)])
def test_a_raw_prompt_and_the_prompt_of_a_base_model_have_no_template(llama, harness, model, raw):
    llama.generate(model=model, prompt="<|im_end|>a", raw=raw)
    assert prompt(harness).endswith("<|im_end|>a")
    assert "user" not in prompt(harness)


def test_a_suffix_makes_the_model_fill_in(llama, harness):
    llama.generate(model=TALKER, prompt="def f(", suffix="return 1")
    assert prompt(harness) == "<|fim_prefix|>def f(<|fim_suffix|>return 1<|fim_middle|>"


@pytest.mark.parametrize("raw", [False, True])
def test_an_answer_can_be_bound_to_a_format(llama, harness, raw):
    llama.generate(model=MODEL, prompt="a", raw=raw, format="json")
    assert harness.triton.asked[0].sampling["structured_outputs"] == {"json_object": True}


def test_the_switch_for_thinking_has_no_effect_without_a_template(http):
    body = {"model": TALKER, "prompt": "a", "raw": True, "think": False}
    assert http.post("/api/generate", json=body).headers["appliance-ignored-parameters"] == "think"


def test_a_failure_in_the_midst_of_a_stream_is_its_last_line(http, harness):
    async def script(_asked):
        yield piece("a", [1])
        yield failure("EngineError: it broke")

    harness.triton.script = script
    *_, last = http.post("/api/generate", json={"model": MODEL, "prompt": "a"}).text.splitlines()
    assert json.loads(last).keys() == {"error"}


@pytest.mark.parametrize(
    "asked",
    [
        {"raw": True, "system": "Be brief"},
        {"suffix": "a", "system": "Be brief"},
        {"model": BASE, "system": "Be brief"},
    ],
)
def test_instructions_without_a_template_are_refused(llama, harness, asked):
    with pytest.raises(ollama.ResponseError, match="system") as caught:
        llama.generate(**{"model": MODEL, "prompt": "a", **asked})
    assert caught.value.status_code == 400
    assert harness.triton.asked == []
