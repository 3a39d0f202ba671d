"""A conversation that goes on begins with what it was: the prompt before, and the answer as the model wrote it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from appliance.gateway.chat.prepare import Prepared, prepare
from appliance.gateway.chat.request import ChatRequest, Tool
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.openai.chat_encoder import ChatEncoder
from appliance.gateway.openai.chat_request import chat_request
from appliance.gateway.openai.choice_encoder import Envelope
from appliance.gateway.openai.prompts import Prompt
from appliance.gateway.openai.schema import ChatBody
from appliance.gateway.openai.shown import Shown
from appliance.gateway.triton.completion import Delta
from appliance.layout import Layout
from tests.gateway.chat.reading import TIME, WEATHER
from tests.real_model import artefact_of

pytestmark = pytest.mark.model
END = "<|im_end|>\n"
FIRST = [{"role": "user", "content": "What is the weather in Paris?"}]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 1.0}}\n</tool_call>'
SPACED = '<tool_call>\n{"name": "get_weather", "arguments": {"city":"Zürich",  "where": {"a":[1, 2]}}}\n</tool_call>'


@pytest.fixture(scope="module")
def model(real_box: Layout) -> ServedModel:
    return ServedModel.load(artefact_of(real_box))


def tool_params() -> list[dict[str, Any]]:
    return [
        {"type": "function", "function": {"name": tool.name, "parameters": tool.parameters}}
        for tool in (WEATHER, TIME)
        if tool.parameters
    ]


def prepared_for(model: ServedModel, request: ChatRequest) -> Prepared:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        # Not asyncio.run: it writes the result out, with the model's whole vocabulary.
        return loop.run_until_complete(prepare(model, request))


def prompt_of(model: ServedModel, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> tuple[str, Any]:
    """The prompt's text, and the prepared conversation."""
    value = {"model": model.name, "messages": messages, "tools": tools}
    prepared = prepared_for(model, chat_request(ChatBody.model_validate(value)))
    return model.tokenizer.decode(list(prepared.prompt_ids), skip_special_tokens=False), prepared


def turn_of(model: ServedModel, prepared: Any, answer: str, finish_reason: str = "stop") -> dict[str, Any]:
    """The answer as a client gets it, to be sent back as it came."""
    form = ChatEncoder(
        Envelope("a", 0, model.name, ""),
        [prepared.reader()],
        [Prompt(prepared.prompt_ids)],
        shown=Shown(),
        tokens=model.token_bytes,
    )
    document = json.loads(form.document([Delta(answer, finish_reason=finish_reason)]))
    turn: dict[str, Any] = document["choices"][0]["message"]
    return turn


@pytest.mark.parametrize(
    "answer",
    [
        "Sunny.",
        "Sunny,\n\nand <b>warm</b>\n",
        CALL,
        f"Let me see.\n{CALL}",
        f"{CALL}\n{SPACED}",
        f"A\n\n{SPACED}\n{CALL}",
    ],
    ids=["words", "lines", "a call", "words and a call", "two calls", "lines and two calls"],
)
def test_the_next_prompt_begins_with_this_one_and_the_answer(model: ServedModel, answer: str):
    before, prepared = prompt_of(model, FIRST, tool_params())
    turn = turn_of(model, prepared, answer)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in turn.get("tool_calls") or []
    ] or [{"role": "user", "content": "Thanks"}]
    after, prepared = prompt_of(model, [*FIRST, turn, *results], tool_params())
    assert after.startswith(before + answer + END)
    last, _ = prompt_of(model, [*FIRST, turn, *results, turn_of(model, prepared, "Warm."), *FIRST], tool_params())
    assert last.startswith(after + "Warm." + END)


def test_a_turn_that_was_begun_is_the_end_of_the_prompt(model: ServedModel):
    before, _ = prompt_of(model, FIRST, tool_params())
    begun, _ = prompt_of(model, [*FIRST, {"role": "assistant", "content": "Sunny, i\n "}], tool_params())
    assert begun == before + "Sunny, i\n "


@pytest.mark.parametrize("cut", range(CALL.index('{"city"') + 1, len(CALL)))
def test_a_call_that_was_cut_is_rendered_as_far_as_it_came(model: ServedModel, cut: int):
    before, prepared = prompt_of(model, FIRST, tool_params())
    turn = turn_of(model, prepared, CALL[:cut], "length")
    after, _ = prompt_of(model, [*FIRST, turn, *FIRST], tool_params())
    assert after.startswith(before + CALL[:cut])


def test_a_newline_alone_before_a_call_is_what_the_template_cannot_say(model: ServedModel):
    """Qwen2.5's template writes exactly one newline before a call; a second one that the model wrote is lost."""
    before, prepared = prompt_of(model, FIRST, tool_params())
    turn = turn_of(model, prepared, f"\n{CALL}")
    after, _ = prompt_of(model, [*FIRST, turn, *FIRST], tool_params())
    assert not after.startswith(f"{before}\n{CALL}")
    assert after.startswith(before + CALL)


def test_a_conversation_that_may_not_call_for_a_turn_keeps_its_prompt(model: ServedModel):
    offered = prepared_for(model, ChatRequest(FIRST, (WEATHER, Tool("f"))))
    value = {"model": model.name, "messages": FIRST, "tools": tool_params(), "tool_choice": "none"}
    barred = prepared_for(model, chat_request(ChatBody.model_validate(value)))
    again, _ = prompt_of(model, FIRST, tool_params())
    assert model.tokenizer.decode(list(barred.prompt_ids), skip_special_tokens=False) == again
    assert offered.tools
    assert barred.tools == ()


def test_the_built_in_model_says_how_it_calls_tools(model: ServedModel, real_box: Layout):
    assert model.dialect.tools == "hermes"
    assert not model.dialect.thinks
    assert isinstance(artefact_of(real_box), Path)
