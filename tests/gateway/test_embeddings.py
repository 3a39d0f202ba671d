"""Embeddings through a real Triton, as OpenAI's client asks for them, beside a model that generates text."""

from __future__ import annotations

import base64
import concurrent.futures
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from appliance.gateway.chat.embedding_texts import MAX_TEXTS
from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.decoder_embedders import PREFIX, make_decoder_embedder_artefact
from tests.encoders import HIDDEN, VOCABULARY
from tests.tiny_artefact import make_tiny_artefact
from tests.tiny_embedder import MAX_TOKENS, make_tiny_embedder
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
MODEL, TEXT_MODEL, DECODER = "tiny-embedder", "tiny-instruct", "tiny-decoder"
CONFIGURATION = f"""\
[serve]
slots = 2
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "{TEXT_MODEL}"
[[serve.model]]
name = "{MODEL}"
aliases = ["text-embedding-3-small"]
[[serve.model]]
name = "{DECODER}"
"""
TEXTS = ["the pump is hot", "one", "the query : a pump is hot one two the pump"]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredBox]:
    root = tmp_path_factory.mktemp("box")
    make_tiny_artefact(root / "exports" / TEXT_MODEL / "cpu-balanced", root / "scratch")
    make_tiny_embedder(root / "exports" / MODEL / "cpu-float32")
    make_decoder_embedder_artefact(root / "exports" / DECODER / "cpu-float32", DECODER)
    with ConfiguredBox(root, CONFIGURATION) as running:
        yield running


@pytest.fixture
def client(box: ConfiguredBox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{box.state.url}/v1", api_key="unused", max_retries=0, timeout=LIMIT_S) as client:
        yield client


def vectors(client: openai.OpenAI, given: Any, *, model: str = MODEL, **more: Any) -> Any:
    answer = client.embeddings.create(model=model, input=given, **more)
    assert [one.index for one in answer.data] == list(range(len(answer.data)))
    return np.array([one.embedding for one in answer.data])


def test_each_text_has_its_vector_whatever_it_is_sent_with(client: openai.OpenAI):
    together = vectors(client, TEXTS)
    assert together.shape == (len(TEXTS), HIDDEN)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.allclose(vectors(client, text)[0], vector, atol=1e-5)


def test_numbers_and_their_bytes_are_the_same(box: ConfiguredBox):
    asked = {"model": MODEL, "input": TEXTS}
    plain, packed = (
        httpx.post(f"{box.state.url}/v1/embeddings", json={**asked, "encoding_format": how}, timeout=LIMIT_S).json()
        for how in ("float", "base64")
    )
    for numbers, content in zip(plain["data"], packed["data"], strict=True):
        unpacked = struct.unpack(f"<{HIDDEN}f", base64.b64decode(content["embedding"]))
        assert list(unpacked) == numbers["embedding"]
    assert plain["usage"] == packed["usage"]


def test_the_answer_names_the_model_and_counts_tokens(client: openai.OpenAI):
    answer = client.embeddings.create(model="text-embedding-3-small", input=["the pump", "one"])
    assert (answer.model, answer.object) == (MODEL, "list")
    # With the first and the last token of each text.
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4 + 3


def test_tokens_are_a_text_too(client: openai.OpenAI):
    of_text, of_tokens = vectors(client, "the pump"), vectors(client, [4, 5])
    assert np.allclose(of_text, of_tokens, atol=1e-6)
    assert np.allclose(vectors(client, [[4, 5], [12]])[0], of_text[0], atol=1e-5)


def test_special_tokens_in_a_text_are_text(client: openai.OpenAI):
    """Otherwise a document could pretend to end."""
    assert not np.allclose(vectors(client, "the [SEP] pump"), vectors(client, [4, 3, 5]), atol=1e-3)


def test_a_query_has_the_prefix_of_the_model(client: openai.OpenAI):
    more = {"extra_body": {"input_type": "query"}}
    assert np.allclose(vectors(client, "the pump", **more), vectors(client, "query : the pump"), atol=1e-6)
    more = {"extra_body": {"input_type": "document"}}
    assert np.allclose(vectors(client, "the pump", **more), vectors(client, "the pump"), atol=1e-6)


def test_a_long_text_is_cut_only_if_the_client_wants_it(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError) as caught:
        vectors(client, ["one", "one " * MAX_TOKENS])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input[1]")
    cut = vectors(client, "one " * MAX_TOKENS, extra_body={"truncate_prompt_tokens": -1})
    assert np.allclose(cut, vectors(client, "one " * (MAX_TOKENS - 2)), atol=1e-6)
    cut = vectors(client, "one two the", extra_body={"truncate_prompt_tokens": 4})
    assert np.allclose(cut, vectors(client, "one two"), atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [[4], []]}, "input[1]"),
        ({"input": [4, VOCABULARY]}, "input"),
        ({"input": [[4], [VOCABULARY]]}, "input[1]"),
        ({"input": [4, -1]}, "input[1]"),
        ({"input": ["a"] * (MAX_TEXTS + 1)}, "input"),
        ({"input": 5}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"dimensions": HIDDEN - 1}, "dimensions"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"input_type": "clustering"}, "input_type"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"model": TEXT_MODEL}, "model"),
    ],
)
def test_what_the_box_cannot_embed_is_refused_by_name(box: ConfiguredBox, asked: dict[str, Any], param: str):
    body = {"model": MODEL, "input": "a", **asked}
    answer = httpx.post(f"{box.state.url}/v1/embeddings", json=body, timeout=LIMIT_S)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_its_own_dimensions_may_be_named(client: openai.OpenAI):
    assert vectors(client, "one", dimensions=HIDDEN).shape == (1, HIDDEN)


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "messages", "tokenize"])
def test_an_embedding_model_generates_no_text(box: ConfiguredBox, path: str):
    turns = [{"role": "user", "content": "a"}]
    body = {"model": MODEL, "messages": turns, "prompt": "a", "input": "a", "max_tokens": 5}
    wanted = {"chat/completions": "messages", "completions": "prompt", "responses": "input", "messages": "messages"}
    kept = {"model", wanted.get(path, "prompt"), *(["max_tokens"] if path == "messages" else [])}
    asked = {key: value for key, value in body.items() if key in kept}
    answer = httpx.post(f"{box.state.url}/v1/{path}", json=asked, timeout=LIMIT_S)
    assert answer.status_code == 400
    assert "embedding model" in answer.json()["error"]["message"]


def test_many_clients_at_once_get_their_own_vectors_while_text_is_generated(box: ConfiguredBox, client: openai.OpenAI):
    alone = {text: vectors(client, text)[0] for text in TEXTS}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        body = {"model": TEXT_MODEL, "prompt": "Once", "max_tokens": 200, "ignore_eos": True}
        text = pool.submit(httpx.post, f"{box.state.url}/v1/completions", json=body, timeout=LIMIT_S)
        found = list(pool.map(lambda number: (number % 3, vectors(client, TEXTS[number % 3])[0]), range(60)))
        assert text.result().json()["usage"]["completion_tokens"] == 200
    for which, vector in found:
        assert np.allclose(vector, alone[TEXTS[which]], atol=1e-5)


def test_a_client_that_leaves_is_forgotten(box: ConfiguredBox, client: openai.OpenAI):
    body = {"model": MODEL, "input": ["one two " * 14] * MAX_TEXTS}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{box.state.url}/v1/embeddings", json=body, timeout=httpx.Timeout(LIMIT_S, read=0.01))
    assert vectors(client, "one").shape == (1, HIDDEN)
    wait_until(lambda: box.status["models"][MODEL]["engine"]["queue_length"] == 0)


def test_the_models_are_listed_with_their_tasks(client: openai.OpenAI):
    cards = {card.id: card for card in client.models.list()}
    assert {name: card.task for name, card in cards.items()} == {
        TEXT_MODEL: "text-generation",
        MODEL: "embedding",
        "text-embedding-3-small": "embedding",
        DECODER: "embedding",
    }
    card = cards[MODEL]
    assert (card.dimensions, card.max_model_len, card.license) == (HIDDEN, MAX_TOKENS, "Apache-2.0")


def test_a_decoder_embeds_texts_with_their_last_token_and_queries_with_an_instruction(client: openai.OpenAI):
    answer = client.embeddings.create(model=DECODER, input=["hot", "pump"])
    # One token for each letter, and the last one of each text.
    assert answer.usage.prompt_tokens == 4 + 5
    together = vectors(client, ["hot", "the pump is hot"], model=DECODER)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors(client, "hot", model=DECODER)[0], together[0], atol=1e-5)
    asked = vectors(client, "hot", model=DECODER, extra_body={"input_type": "query"})
    assert np.allclose(asked, vectors(client, f"{PREFIX}hot", model=DECODER), atol=1e-6)
    assert not np.allclose(asked[0], together[0], atol=1e-3)


def test_vectors_that_may_be_cut_are_cut_and_have_the_length_1_again(client: openai.OpenAI, box: ConfiguredBox):
    (whole,) = vectors(client, "hot", model=DECODER)
    for dimensions in (8, 20, len(whole)):
        (short,) = vectors(client, "hot", model=DECODER, dimensions=dimensions)
        begin = whole[:dimensions]
        assert np.allclose(short, begin / np.linalg.norm(begin), atol=1e-6)
        asked = {"model": DECODER, "input": "hot", "dimensions": dimensions, "encoding_format": "float"}
        plain = httpx.post(f"{box.state.url}/v1/embeddings", json=asked, timeout=LIMIT_S).json()
        assert np.allclose(plain["data"][0]["embedding"], short, atol=1e-6)
    for dimensions in (7, len(whole) + 1):
        with pytest.raises(openai.BadRequestError) as caught:
            vectors(client, "hot", model=DECODER, dimensions=dimensions)
        assert caught.value.param == "dimensions"
