"""Ollama's Python client."""

from __future__ import annotations

import ollama
import pydantic

from tests.clients.python.box import ASK_WEATHER, TOO_LONG, WEATHER, Box
from tests.clients.python.documents import DOCUMENTS, QUESTIONS, prompt
from tests.clients.python.expect import raises

HELLO = [{"role": "user", "content": "What is an inode? Answer in one sentence."}]


class City(pydantic.BaseModel):
    name: str
    country: str


def client(box: Box, key: str | None = None) -> ollama.Client:
    return ollama.Client(host=box.http, headers={"Authorization": f"Bearer {key or box.key}"})


def options(tokens: int, **more) -> dict:
    return {"temperature": 0, "num_predict": tokens, **more}


def models(box: Box) -> None:
    found = {model.model: model for model in client(box).list().models}
    assert set(found) == {box.model, box.embedder}
    assert found[box.model].size > 0
    assert {model.model for model in client(box).ps().models} == set(found)
    shown = client(box).show(box.model)
    assert {"completion", "tools"} <= set(shown.capabilities)
    assert shown.modelinfo[f"{shown.details.family}.context_length"] > 0


def chat(box: Box) -> None:
    answer = client(box).chat(model=box.model, messages=HELLO, options=options(16))
    assert answer.message.content
    assert (answer.done_reason, answer.eval_count) == ("length", 16)
    assert 0 < answer.eval_duration < answer.total_duration
    generated = client(box).generate(model=box.model, prompt=HELLO[0]["content"], options=options(16))
    assert generated.response == answer.message.content


def stream(box: Box) -> None:
    asked = {"model": box.model, "messages": HELLO, "options": options(16)}
    *chunks, last = client(box).chat(**asked, stream=True)
    assert len(chunks) > 1
    assert (last.done, last.eval_count) == (True, 16)
    text = "".join(chunk.message.content for chunk in chunks)
    assert text == client(box).chat(**asked).message.content


def turns(box: Box) -> None:
    messages = [{"role": "system", "content": "You are brief."}]
    messages.append({"role": "user", "content": "My name is Ada. Remember it."})
    messages.append(client(box).chat(model=box.model, messages=messages, options=options(40)).message)
    messages.append({"role": "user", "content": "What is my name? Answer with one word."})
    assert "Ada" in client(box).chat(model=box.model, messages=messages, options=options(40)).message.content


def tools(box: Box) -> None:
    def get_weather(city: str) -> str:
        """Get the weather in a city.

        Args:
            city: name of the city
        """
        return f"{city}: {WEATHER}"

    asked = {"model": box.model, "tools": [get_weather], "options": options(64)}
    messages = [{"role": "user", "content": ASK_WEATHER}]
    messages.append(client(box).chat(messages=messages, **asked).message)
    (call,) = messages[-1].tool_calls
    assert call.function.name == "get_weather"
    result = get_weather(**call.function.arguments)
    messages.append({"role": "tool", "tool_name": "get_weather", "content": result})
    assert "21" in client(box).chat(messages=messages, **asked).message.content


def schema(box: Box) -> None:
    answer = client(box).chat(
        model=box.model,
        messages=[{"role": "user", "content": "Where is the Eiffel tower?"}],
        format=City.model_json_schema(),
        options=options(64),
    )
    assert City.model_validate_json(answer.message.content)


def cancel(box: Box) -> None:
    with box.cancels_one():
        chunks = client(box).chat(model=box.model, messages=HELLO, options=options(4000, ignore_eos=True), stream=True)
        next(chunks)
        chunks.close()


def errors(box: Box) -> None:
    asked = {"model": box.model, "messages": HELLO}
    with raises(ollama.ResponseError, status_code=401):
        client(box, "wrong").chat(**asked)
    with raises(ollama.ResponseError, status_code=404):
        client(box).chat(**{**asked, "model": "llama3.2"})
    with raises(ollama.ResponseError, status_code=400):
        client(box).chat(**{**asked, "messages": [{"role": "user", "content": TOO_LONG}]})
    with raises(ollama.ResponseError, status_code=403):
        client(box).pull("llama3.2")


def embeddings(box: Box) -> None:
    found = client(box).embed(model=box.embedder, input=list(DOCUMENTS.values())).embeddings
    assert [len(vector) for vector in found] == [384] * len(DOCUMENTS)
    with raises(ollama.ResponseError, status_code=400):
        client(box).embed(model=box.embedder, input="oil " * 1000, truncate=False)
    with raises(ollama.ResponseError, status_code=404):
        client(box).embed(model="nomic-embed-text", input="a")


def search(box: Box) -> None:
    names = list(DOCUMENTS)
    vectors = client(box).embed(model=box.embedder, input=list(DOCUMENTS.values())).embeddings
    for question, (name, fact) in QUESTIONS.items():
        (asked,) = client(box).embed(model=box.embedder, input=question).embeddings
        scores = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in vectors]
        best = names[scores.index(max(scores))]
        assert best == name, (question, best)
        messages = [{"role": "user", "content": prompt(DOCUMENTS[best], question)}]
        said = client(box).chat(model=box.model, messages=messages, options=options(60)).message.content
        assert fact in said, (question, said)
