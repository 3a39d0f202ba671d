"""OpenAI's own client with /v1/embeddings."""

from __future__ import annotations

import openai

from tests.clients.python.box import Box
from tests.clients.python.documents import DOCUMENTS, QUESTIONS, prompt
from tests.clients.python.expect import raises


def client(box: Box, **parameters) -> openai.OpenAI:
    return openai.OpenAI(**{"base_url": box.v1, "api_key": box.key, "max_retries": 0, **parameters})


def models(box: Box) -> None:
    assert {box.model, box.embedder} <= {model.id for model in client(box).models.list()}


def embeddings(box: Box) -> None:
    answer = client(box).embeddings.create(model=box.embedder, input=list(DOCUMENTS.values()))
    assert [len(each.embedding) for each in answer.data] == [384] * len(DOCUMENTS)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(DOCUMENTS)
    plain = client(box).embeddings.create(model=box.embedder, input="Oil", encoding_format="float").data[0].embedding
    assert abs(sum(value * value for value in plain) - 1) < 1e-4
    with raises(openai.BadRequestError, status_code=400):
        client(box).embeddings.create(model=box.embedder, input="")
    with raises(openai.BadRequestError, code="context_length_exceeded"):
        client(box).embeddings.create(model=box.embedder, input="oil " * 1000)
    with raises(openai.BadRequestError, status_code=400):
        client(box).embeddings.create(model=box.model, input="a")
    with raises(openai.AuthenticationError, status_code=401):
        client(box, api_key="wrong").embeddings.create(model=box.embedder, input="a")


def search(box: Box) -> None:
    with client(box) as asking:
        answer = asking.embeddings.create(model=box.embedder, input=[*DOCUMENTS.values(), *QUESTIONS])
        vectors = [each.embedding for each in answer.data]
        for (question, (name, fact)), asked in zip(QUESTIONS.items(), vectors[len(DOCUMENTS) :], strict=True):
            scores = [sum(map(float.__mul__, asked, vector)) for vector in vectors[: len(DOCUMENTS)]]
            found = list(DOCUMENTS)[scores.index(max(scores))]
            assert found == name, (question, found)
            turns = [{"role": "user", "content": prompt(DOCUMENTS[found], question)}]
            said = asking.chat.completions.create(model=box.model, messages=turns, temperature=0, max_tokens=60)
            assert fact in said.choices[0].message.content, (question, said.choices[0].message.content)
