"""Rerankers through a real Triton, as the clients of Cohere, Jina and vLLM ask for them."""

from __future__ import annotations

import concurrent.futures
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from appliance.gateway.openai.pairs import MAX_PAIRS
from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.cross_encoders import MAX_TOKENS, make_tiny_reranker
from tests.tiny_artefact import make_tiny_artefact
from tests.tiny_embedder import make_tiny_embedder
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
MODEL, TEXT_MODEL, EMBEDDER = "tiny-reranker", "tiny-instruct", "tiny-embedder"
CONFIGURATION = f"""\
[serve]
slots = 2
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "{TEXT_MODEL}"
[[serve.model]]
name = "{MODEL}"
aliases = ["rerank-v3.5"]
[[serve.model]]
name = "{EMBEDDER}"
"""
QUERY = "the pump"
DOCUMENTS = ["one two", "is hot the pump", "query : a pump is hot one two the pump", "hot"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("box")
    make_tiny_artefact(root / "exports" / TEXT_MODEL / "cpu-balanced", root / "scratch")
    make_tiny_reranker(root / "exports" / MODEL / "cpu-float32", MODEL)
    make_tiny_embedder(root / "exports" / EMBEDDER / "cpu-float32")
    return root


@pytest.fixture(scope="module")
def box(root: Path) -> Iterator[ConfiguredBox]:
    with ConfiguredBox(root, CONFIGURATION) as running:
        yield running


@pytest.fixture(scope="module")
def expected(root: Path) -> list[float]:
    """The logits of the documents, from the artefact's graph alone."""
    words = {"the": 4, "pump": 5, "is": 6, "hot": 7, "query": 8, ":": 9, "a": 10, "one": 12, "two": 13}
    graph = onnxruntime.InferenceSession(root / "exports" / MODEL / "cpu-float32" / "model.onnx")
    found = []
    for document in DOCUMENTS:
        ids = [2, 4, 5, 3, *(words[word] for word in document.split()), 3]
        inputs = {"input_ids": np.array([ids], np.int64), "lengths": np.array([len(ids)], np.int32)}
        (logit,) = graph.run(["logit"], {**inputs, "first_lengths": np.array([4], np.int32)})
        found.append(float(logit[0, 0]))
    return found


def ask(box: ConfiguredBox, path: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{box.state.url}{path}", json={"model": MODEL, **body}, timeout=LIMIT_S)


def rerank(box: ConfiguredBox, **body: Any) -> Any:
    answer = ask(box, "/v1/rerank", **{"query": QUERY, "documents": DOCUMENTS, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def score(box: ConfiguredBox, first: Any, second: Any, **body: Any) -> list[float]:
    answer = ask(box, "/v1/score", text_1=first, text_2=second, **body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return [one["score"] for one in data]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_documents_come_in_the_order_of_their_scores(box: ConfiguredBox, expected: list[float], path: str):
    answer = ask(box, path, query=QUERY, documents=DOCUMENTS).json()
    order = sorted(range(len(DOCUMENTS)), key=lambda index: -expected[index])
    assert [one["index"] for one in answer["results"]] == order
    for one in answer["results"]:
        assert one["relevance_score"] == pytest.approx(sigmoid(expected[one["index"]]), abs=1e-5)
        assert "document" not in one
    assert (answer["model"], answer["usage"]["total_tokens"]) == (MODEL, 7 + 9 + 15 + 6)
    assert answer["meta"]["tokens"]["input_tokens"] == answer["usage"]["prompt_tokens"]


def test_the_first_results_with_their_documents(box: ConfiguredBox):
    every = rerank(box, return_documents=True, documents=[{"text": text} for text in DOCUMENTS])["results"]
    for one in every:
        assert one["document"] == {"text": DOCUMENTS[one["index"]]}
    assert [one["index"] for one in rerank(box, top_n=2)["results"]] == [one["index"] for one in every[:2]]
    assert len(rerank(box, top_n=0)["results"]) == len(rerank(box, top_n=9)["results"]) == len(DOCUMENTS)


def test_the_logits_are_there_for_clients_that_want_them(box: ConfiguredBox, expected: list[float]):
    for name in ("use_activation", "activation"):
        results = rerank(box, **{name: False})["results"]
        assert all(one["relevance_score"] == pytest.approx(expected[one["index"]], abs=1e-5) for one in results)
        assert score(box, QUERY, DOCUMENTS, **{name: False}) == pytest.approx(expected, abs=1e-5)


def test_each_pair_has_its_score(box: ConfiguredBox, expected: list[float]):
    scores = [sigmoid(logit) for logit in expected]
    assert score(box, QUERY, DOCUMENTS) == pytest.approx(scores, abs=1e-5)
    assert score(box, [QUERY], DOCUMENTS[0]) == score(box, QUERY, DOCUMENTS[:1]) == pytest.approx(scores[:1], abs=1e-5)
    assert score(box, [QUERY] * 4, DOCUMENTS) == pytest.approx(scores, abs=1e-5)
    # A query is not a document.
    assert score(box, DOCUMENTS[0], QUERY)[0] != pytest.approx(scores[0], abs=1e-3)
    answer = ask(box, "/score", text_1=QUERY, text_2=DOCUMENTS).json()
    assert (answer["object"], answer["model"], answer["data"][0]["object"]) == ("list", MODEL, "score")
    assert answer["usage"] == {"prompt_tokens": 37, "total_tokens": 37}


def test_special_tokens_in_a_text_are_text(box: ConfiguredBox):
    """Otherwise a document could pretend to end, and to begin again."""
    assert rerank(box, documents=["the [SEP] pump"])["usage"]["total_tokens"] > 4 + 3 + 1


def test_a_long_document_is_cut_only_if_the_client_wants_it(box: ConfiguredBox):
    long = "one " * MAX_TOKENS
    answer = ask(box, "/v1/rerank", query=QUERY, documents=["one", long])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "documents[1]")
    (whole,) = rerank(box, documents=[long], truncate_prompt_tokens=-1)["results"]
    (filled,) = rerank(box, documents=["one " * (MAX_TOKENS - 5)])["results"]
    assert whole["relevance_score"] == pytest.approx(filled["relevance_score"], abs=1e-6)
    (three,) = rerank(box, documents=[long], max_tokens_per_doc=3)["results"]
    (seven,) = rerank(box, documents=[long], truncate_prompt_tokens=8)["results"]
    (alone,) = rerank(box, documents=["one one one"])["results"]
    assert three["relevance_score"] == seven["relevance_score"] == pytest.approx(alone["relevance_score"], abs=1e-6)
    # No room is left for a document: it is not left out.
    refused = ask(box, "/v1/score", text_1=long, text_2=["one"], truncate_prompt_tokens=-1)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "text_2[0]")


@pytest.mark.parametrize(
    ("path", "asked", "param"),
    [
        ("rerank", {"query": ""}, "query"),
        ("rerank", {"query": None}, "query"),
        ("rerank", {"query": ["a"]}, "query"),
        ("rerank", {"documents": []}, "documents"),
        ("rerank", {"documents": ["a", ""]}, "documents[1]"),
        ("rerank", {"documents": [{"text": ""}]}, "documents[0]"),
        ("rerank", {"documents": ["a"] * (MAX_PAIRS + 1)}, "documents"),
        ("rerank", {"documents": "a"}, "documents"),
        ("rerank", {"top_n": -1}, "top_n"),
        ("rerank", {"max_tokens_per_doc": 0}, "max_tokens_per_doc"),
        ("rerank", {"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ("rerank", {"rank_fields": ["title"]}, "rank_fields"),
        ("rerank", {"model": TEXT_MODEL}, "model"),
        ("rerank", {"model": EMBEDDER}, "model"),
        ("score", {"text_1": ""}, "text_1"),
        ("score", {"text_1": []}, "text_1"),
        ("score", {"text_2": ["a", ""]}, "text_2[1]"),
        ("score", {"text_1": ["a", "b"], "text_2": ["a"]}, "text_1"),
        ("score", {"text_2": ["a"] * (MAX_PAIRS + 1)}, "text_2"),
        ("score", {"text_2": 5}, "text_2"),
        ("score", {"model": EMBEDDER}, "model"),
    ],
)
def test_what_the_box_cannot_rank_is_refused_by_name(box: ConfiguredBox, path: str, asked: dict[str, Any], param: str):
    whole = {"query": "a", "documents": ["a"]} if path == "rerank" else {"text_1": "a", "text_2": "a"}
    for version in ("v1", "v2") if path == "rerank" else ("v1",):
        answer = ask(box, f"/{version}/{path}", **{**whole, **asked})
        error = answer.json()["error"]
        assert answer.status_code == 400, error
        assert error["param"].partition(".")[0] == param, error


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
        ("completions", {"prompt": "a"}),
        ("embeddings", {"input": "a"}),
        ("tokenize", {"prompt": "a"}),
    ],
)
def test_a_reranker_does_nothing_else(box: ConfiguredBox, path: str, body: dict[str, Any]):
    answer = ask(box, f"/v1/{path}", **body)
    assert answer.status_code == 400
    assert "is a reranker" in answer.json()["error"]["message"]


def test_many_clients_at_once_get_their_own_scores(box: ConfiguredBox, expected: list[float]):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: (number % 4, score(box, QUERY, DOCUMENTS[number % 4])), range(40)))
    for which, (one,) in found:
        assert one == pytest.approx(sigmoid(expected[which]), abs=1e-5)


def test_a_client_that_leaves_is_forgotten(box: ConfiguredBox):
    body = {"model": MODEL, "query": QUERY, "documents": ["one two " * 12] * MAX_PAIRS}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{box.state.url}/v1/rerank", json=body, timeout=httpx.Timeout(LIMIT_S, read=0.01))
    assert len(rerank(box)["results"]) == len(DOCUMENTS)
    wait_until(lambda: box.status["models"][MODEL]["engine"]["queue_length"] == 0)


def test_the_model_is_listed_with_its_task(box: ConfiguredBox):
    cards = {card["id"]: card for card in httpx.get(f"{box.state.url}/v1/models", timeout=LIMIT_S).json()["data"]}
    assert cards[MODEL]["task"] == cards["rerank-v3.5"]["task"] == "reranking"
    assert (cards[MODEL]["max_model_len"], cards[MODEL]["capabilities"]["chat"]) == (MAX_TOKENS, False)
