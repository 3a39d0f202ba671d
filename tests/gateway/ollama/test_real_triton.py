"""The real `ollama` client with a real Triton: answers, vectors, and models that are loaded and unloaded."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import ollama
import pytest

from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.encoders import HIDDEN
from tests.gateway.keys import Keys
from tests.tiny_artefact import make_tiny_artefact
from tests.tiny_embedder import MAX_TOKENS, make_tiny_embedder
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
FIXED, EMBEDDER, SHORT, LONG = "fixed", "tiny-embedder", "short", "long"
CONFIGURATION = f"""\
[serve]
slots = 2
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "{FIXED}"
[[serve.model]]
name = "{EMBEDDER}"
[[serve.model]]
name = "{SHORT}"
on_demand = true
keep_alive_s = 0
[[serve.model]]
name = "{LONG}"
on_demand = true
"""
HELLO = [{"role": "user", "content": "Once upon a time"}]
GREEDY = {"temperature": 0, "num_predict": 12, "ignore_eos": True}
TEXTS = ["the pump is hot", "one"]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredBox]:
    root = tmp_path_factory.mktemp("box")
    for name in (FIXED, SHORT, LONG):
        make_tiny_artefact(root / "exports" / name / "cpu-balanced", root / f"scratch-{name}", name)
    make_tiny_embedder(root / "exports" / EMBEDDER / "cpu-float32")
    keys = Keys(root / "keys" / "keys.json")
    with ConfiguredBox(root, CONFIGURATION) as running:
        running.keys = keys
        yield running


@pytest.fixture(scope="module")
def make(box: ConfiguredBox) -> Iterator[dict[str, ollama.Client]]:
    """A client with each scope."""
    made = {
        scope: ollama.Client(
            host=box.state.url, timeout=LIMIT_S, headers={"Authorization": f"Bearer {box.keys.make(scope)}"}
        )
        for scope in ("infer", "admin")
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def client(make: dict[str, ollama.Client]) -> ollama.Client:
    return make["infer"]


@pytest.fixture
def admin(make: dict[str, ollama.Client]) -> ollama.Client:
    return make["admin"]


def loaded(client: ollama.Client) -> set[str]:
    return {model.model for model in client.ps().models}


def test_a_streamed_answer_is_the_whole_one(client):
    whole = client.chat(model=FIXED, messages=HELLO, options=GREEDY)
    *chunks, last = client.chat(model=FIXED, messages=HELLO, options=GREEDY, stream=True)
    assert "".join(chunk.message.content for chunk in chunks) == whole.message.content
    assert (
        (last.eval_count, last.prompt_eval_count)
        == (whole.eval_count, whole.prompt_eval_count)
        == (
            12,
            whole.prompt_eval_count,
        )
    )
    assert whole.done_reason == "length"
    assert 0 < whole.eval_duration < whole.total_duration


def test_an_answer_matches_its_schema(client):
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
    answer = client.generate(model=FIXED, prompt="a", format=schema, options={"num_predict": 100})
    assert json.loads(answer.response) in ({"a": 1}, {"a": 2})


def test_each_text_has_its_vector(client):
    answer = client.embed(model=EMBEDDER, input=TEXTS)
    together = np.array(answer.embeddings)
    assert together.shape == (len(TEXTS), HIDDEN)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    # With the first and the last token of each text.
    assert answer.prompt_eval_count == 6 + 3
    alone = client.embed(model=f"{EMBEDDER}:latest", input=TEXTS[0]).embeddings
    assert np.allclose(alone, together[:1], atol=1e-5)
    assert np.allclose(client.embeddings(model=EMBEDDER, prompt=TEXTS[0]).embedding, together[0], atol=1e-5)


def test_a_long_text_is_cut_unless_the_client_does_not_want_it(client):
    cut = client.embed(model=EMBEDDER, input="one " * MAX_TOKENS).embeddings
    fits = client.embed(model=EMBEDDER, input="one " * (MAX_TOKENS - 2)).embeddings
    assert np.allclose(cut, fits, atol=1e-6)
    with pytest.raises(ollama.ResponseError, match=r"input\[1\]") as caught:
        client.embed(model=EMBEDDER, input=["one", "one " * MAX_TOKENS], truncate=False)
    assert caught.value.status_code == 400


def test_without_a_text_there_is_no_vector(client):
    assert client.embed(model=EMBEDDER, input="").embeddings == []
    assert client.embed(model=EMBEDDER, input=[]).embeddings == []
    assert client.embeddings(model=EMBEDDER, prompt="").embedding == []


@pytest.mark.parametrize(
    "asked", [{"dimensions": HIDDEN - 1}, {"input": [""]}, {"input": ["a"] * 2049}, {"model": FIXED}]
)
def test_what_the_box_cannot_embed_is_refused(client, asked):
    with pytest.raises(ollama.ResponseError) as caught:
        client.embed(**{"model": EMBEDDER, "input": "a", **asked})
    assert caught.value.status_code == 400
    assert client.embed(model=EMBEDDER, input="a", dimensions=HIDDEN).embeddings


def test_an_embedding_model_is_described_and_generates_no_text(client):
    shown = client.show(EMBEDDER)
    assert shown.capabilities == ["embedding"]
    assert shown.modelinfo[f"{shown.details.family}.embedding_length"] == HIDDEN
    with pytest.raises(ollama.ResponseError, match="embedding model"):
        client.chat(model=EMBEDDER, messages=HELLO)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_without_a_question_loads_the_model_and_an_admin_unloads_it(client, admin, stream):
    admin.generate(model=LONG, keep_alive=0)
    assert LONG not in loaded(client)
    answer = client.generate(model=LONG, prompt="", stream=stream)
    (answer,) = answer if stream else [answer]
    assert (answer.response, answer.done, answer.done_reason) == ("", True, "load")
    assert 0 < answer.load_duration <= answer.total_duration
    assert LONG in loaded(client)
    # It is loaded already.
    again = client.chat(model=LONG, messages=[])
    assert (again.done_reason, again.load_duration, again.message.content) == ("load", 0, "")
    with pytest.raises(ollama.ResponseError, match="scope admin") as caught:
        client.generate(model=LONG, keep_alive=0)
    assert caught.value.status_code == 403
    assert LONG in loaded(client)
    answer = admin.chat(model=LONG, messages=[], keep_alive=0)
    assert (answer.done, answer.done_reason) == (True, "unload")
    assert LONG not in loaded(client)


def test_a_model_that_is_always_loaded_is_not_unloaded_by_clients(client, admin):
    with pytest.raises(ollama.ResponseError, match="always loaded") as caught:
        admin.generate(model=FIXED, keep_alive=0)
    assert caught.value.status_code == 400
    assert client.generate(model=FIXED, prompt="").done_reason == "load"
    assert {FIXED, EMBEDDER} <= loaded(client)


def test_a_request_says_how_long_its_model_stays(client):
    answer = client.chat(model=SHORT, messages=HELLO, options=GREEDY)
    assert answer.load_duration > 0
    wait_until(lambda: SHORT not in loaded(client))
    client.chat(model=SHORT, messages=HELLO, options=GREEDY, keep_alive="10m")
    (model,) = (model for model in client.ps().models if model.model == SHORT)
    # A later request without a wish, or with a shorter one, leaves that as it is.
    client.chat(model=SHORT, messages=HELLO, options=GREEDY, keep_alive=0)
    client.chat(model=SHORT, messages=HELLO, options=GREEDY)
    (again,) = (model for model in client.ps().models if model.model == SHORT)
    assert abs((again.expires_at - model.expires_at).total_seconds()) < 60
    assert again.size > 0
