"""The gateway in a real box: `appliance up` with the real Triton, and once with the real model."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pydantic
import pytest

from appliance.layout import Layout
from tests.gateway.page_examples import blocks, printed
from tests.real_model import NAME
from tests.running_box import CONFIGURATION, RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
HELLO = [{"role": "user", "content": "Once upon a time"}]
GREEDY = {"temperature": 0, "max_tokens": 24}


class RealModelBox(RunningBox):
    """A box on the real model of another root, which may have more."""

    def __init__(self, root: Path, artefacts: Path) -> None:
        self.root = root
        self._words = (NAME,)
        (root / "artefacts").symlink_to(artefacts)
        (root / "appliance.toml").write_text(CONFIGURATION.format(drain_s=10.0))
        self.output = root / "up.out"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with RunningBox(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def client(box: RunningBox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://{box.state.http}/v1", api_key="unused", max_retries=0) as client:
        yield client


def texts(stream) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_a_streamed_answer_is_the_whole_one(client: openai.OpenAI):
    whole = client.chat.completions.create(model=TINY, messages=HELLO, **GREEDY)
    stream = client.chat.completions.create(model=TINY, messages=HELLO, stream=True, **GREEDY)
    assert texts(stream) == whole.choices[0].message.content
    assert whole.usage is not None
    assert 0 < whole.usage.completion_tokens <= 24


def test_the_engine_honours_what_the_schema_promises(client: openai.OpenAI):
    def ask(**settings):
        return client.completions.create(model=TINY, prompt="Once", max_tokens=12, **settings)

    assert ask(seed=-7, temperature=2).choices == ask(seed=-7, temperature=2).choices
    logprobs = ask(temperature=0, logprobs=2).choices[0].logprobs
    assert logprobs is not None
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) > 0
    assert all(len(alternatives) <= 2 for alternatives in logprobs.top_logprobs)
    every = {"ignore_eos": True, "min_tokens": 3, "min_p": 0.01, "top_k": 5, "repetition_penalty": 1.1}
    answer = ask(presence_penalty=1, frequency_penalty=1, logit_bias={"65": 5}, top_p=0.9, extra_body=every)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_what_the_engine_refuses_is_named(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=TINY, prompt="a", max_tokens=2, extra_body={"min_tokens": 3})
    assert caught.value.param == "min_tokens"


def test_two_hundred_requests_at_once_on_four_slots_all_get_the_answer_they_would_get_alone(box: RunningBox):
    async def crowd() -> tuple[list[str], list[str]]:
        pool = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=300)
        async with (
            pool,
            openai.AsyncOpenAI(
                base_url=f"http://{box.state.http}/v1", api_key="unused", max_retries=0, http_client=pool
            ) as client,
        ):

            async def ask(number: int) -> str:
                answer = await client.completions.create(
                    model=TINY, prompt=f"Story {number % 10}", stream=True, temperature=0, max_tokens=8
                )
                return "".join([chunk.choices[0].text async for chunk in answer])

            alone = [await ask(number) for number in range(10)]
            return alone, list(await asyncio.gather(*(ask(number) for number in range(200))))

    alone, together = asyncio.run(crowd())
    assert together == alone * 20


def test_clients_that_hang_up_free_their_slots(box: RunningBox):
    host, port = box.state.http.split(":")
    connections = []
    for stream in (b"true", b"false"):
        body = b'{"model":"%s","prompt":"a","max_tokens":60000,"ignore_eos":true,"stream":%s}' % (TINY.encode(), stream)
        connection = socket.create_connection((host, int(port)), timeout=LIMIT_S)
        head = (
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        connection.sendall(head % len(body) + body)
        connections.append(connection)
    wait_until(lambda: box.slots_busy == 2)
    for connection in connections:
        connection.close()
    wait_until(lambda: box.slots_busy == 0)


def test_responses_and_messages_come_through_the_real_engine(client: openai.OpenAI, box: RunningBox):
    asked = {"model": TINY, "input": "Once upon a time", "temperature": 0, "max_output_tokens": 24}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        streamed = [event.response for event in stream if event.type in {"response.completed", "response.incomplete"}]
    assert streamed[-1].output_text == whole.output_text
    chat = client.chat.completions.create(model=TINY, messages=HELLO, **GREEDY)
    assert whole.output_text == chat.choices[0].message.content
    with anthropic.Anthropic(base_url=f"http://{box.state.http}", api_key="unused", max_retries=0) as claude:
        greedy = {"model": TINY, "max_tokens": 24, "extra_body": {"temperature": 0}, "messages": HELLO}
        message = claude.messages.create(**greedy)
        assert "".join(block.text for block in message.content) == whole.output_text
        with claude.messages.stream(**greedy) as one:
            assert "".join(one.text_stream) == whole.output_text
        counted = claude.messages.count_tokens(model=TINY, messages=HELLO).input_tokens
        assert counted == message.usage.input_tokens + message.usage.cache_read_input_tokens
    queue = httpx.get(f"http://{box.state.http}/v1/models/{TINY}/queue", timeout=LIMIT_S).json()
    assert (queue["slots"], queue["wait_s"]) == (4, 0)
    assert queue["basis"]["median_service_s"] > 0


@pytest.fixture(scope="module")
def real_model_box(real_box: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with RealModelBox(tmp_path_factory.mktemp("real"), real_box.artefacts) as running:
        yield running


@pytest.mark.model
def test_the_real_model_answers_a_question_in_a_chat(real_model_box: RunningBox):
    with openai.OpenAI(base_url=f"http://{real_model_box.state.http}/v1", api_key="unused", max_retries=0) as client:
        question = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]
        stream = client.chat.completions.create(
            model=NAME, messages=question, stream=True, temperature=0, max_tokens=16, stop=["."]
        )
        assert "Paris" in texts(stream)
        code = client.completions.create(
            model=NAME, prompt="def add(a, b):\n    return", temperature=0, max_tokens=8, stop="\n"
        )
        assert code.choices[0].text.strip().startswith("a + b")
        assert code.choices[0].finish_reason == "stop"


@pytest.mark.model
def test_the_real_model_goes_on_with_a_conversation_in_both_newer_apis(real_model_box: RunningBox):
    url = f"http://{real_model_box.state.http}"
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client,
        anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as claude,
    ):
        told = "My name is Ada. Remember it."
        first = client.responses.create(model=NAME, input=told, temperature=0, max_output_tokens=40)
        second = client.responses.create(
            model=NAME,
            input="What is my name? Answer with one word.",
            previous_response_id=first.id,
            temperature=0,
            max_output_tokens=16,
        )
        assert "Ada" in second.output_text
        assert second.usage is not None
        assert second.usage.input_tokens_details.cached_tokens > 0
        message = claude.messages.create(
            model=NAME,
            max_tokens=16,
            extra_body={"temperature": 0},
            messages=[
                {"role": "user", "content": told},
                {"role": "assistant", "content": first.output_text},
                {"role": "user", "content": "What is my name? Answer with one word."},
            ],
        )
        assert message.content[0].type == "text"
        assert message.content[0].text == second.output_text


@pytest.mark.model
def test_the_page_about_documents_shows_what_the_real_model_answers(
    real_model_box: RunningBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    document, *shown = blocks("documents.md", "text")
    (tmp_path / "pump.md").write_text(document)
    monkeypatch.chdir(tmp_path)
    answers, *rest = printed("documents.md", f"http://{real_model_box.state.http}", NAME)
    # Other processors round differently, so an answer may have other words.
    assert [fact for fact in ("ISO VG 46", "2,000", "not in the document") if fact not in answers] == []
    assert "ISO VG 46" in rest[-1]
    # The context of this box is smaller than the page's; the counts of tokens and the error's code are the same.
    assert [text.split()[0] for text in rest] == [text.split()[0] for text in shown[1:]]


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
ASK_WEATHER = [{"role": "user", "content": "What is the weather in Paris, in celsius? Use the tool."}]


class Capital(pydantic.BaseModel):
    country: str
    capital: str
    inhabitants: int


@pytest.mark.model
def test_the_real_model_calls_tools_and_answers_in_formats(real_model_box: RunningBox):
    with openai.OpenAI(base_url=f"http://{real_model_box.state.http}/v1", api_key="unused", max_retries=0) as client:
        greedy = {"model": NAME, "temperature": 0, "max_tokens": 96}
        forced = client.chat.completions.create(
            messages=ASK_WEATHER, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, **greedy
        )
        assert forced.choices[0].finish_reason == "tool_calls"
        (call,) = forced.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Paris", "unit": "celsius"}

        result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21, "sky": "clear"}'}
        turns = [*ASK_WEATHER, forced.choices[0].message, result]
        after = client.chat.completions.create(messages=turns, tools=[WEATHER], **greedy)
        assert "21" in after.choices[0].message.content
        # Prompts are reused whole, up to the end of a tile of eight. On a CPU with our operators, so are the tokens of
        # an answer, if its text has the same tokens in the next turn; else the answer is computed again, as a prompt.
        assert after.usage.prompt_tokens_details.cached_tokens >= forced.usage.prompt_tokens // 8 * 8
        turns += [after.choices[0].message, {"role": "user", "content": "Thank you."}]
        last = client.chat.completions.create(messages=turns, tools=[WEATHER], **greedy)
        assert last.usage.prompt_tokens_details.cached_tokens >= after.usage.prompt_tokens // 8 * 8

        stream = client.chat.completions.create(
            messages=ASK_WEATHER,
            tools=[WEATHER],
            tool_choice={"type": "function", "function": {"name": "get_weather"}},
            stream=True,
            **greedy,
        )
        deltas = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
        assert "".join(delta.function.arguments for delta in deltas) == call.function.arguments

        question = [{"role": "user", "content": "Name the capital of France."}]
        parsed = client.chat.completions.parse(messages=question, response_format=Capital, **greedy)
        assert parsed.choices[0].message.parsed.capital == "Paris"

        choices = client.chat.completions.create(
            model=NAME, messages=question, n=3, seed=5, temperature=1.5, max_tokens=12
        ).choices
        assert len({choice.message.content for choice in choices}) > 1

        gap = client.completions.create(
            prompt="def add(a, b):\n    result = ", suffix="\n    return result\n", **{**greedy, "max_tokens": 8}
        )
        assert "a + b" in gap.choices[0].text

        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                messages=question,
                response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "nothing"}}},
                **greedy,
            )
        assert caught.value.param == "response_format"
