"""What Ollama's clients learn about the box and its models."""

from __future__ import annotations

import datetime as dt

import httpx
import ollama
import pytest

from appliance.auth.policy import Policy
from appliance.config import ModelConfig
from tests.gateway.keys import Keys
from tests.waiting import LIMIT_S

MODEL, BASE, TALKER = "tiny-instruct", "tiny-base", "tiny-talker"


def test_models_are_listed_with_their_aliases(make_harness, make_llama):
    box = make_harness(tables=(ModelConfig(MODEL, aliases=("llama3.2",)),))
    client = make_llama(box.url)
    found = {model.model: model for model in client.list().models}
    assert set(found) == {MODEL, BASE, TALKER, "llama3.2"}
    assert found["llama3.2"].digest == found[MODEL].digest != found[BASE].digest
    assert found[MODEL].size > 0
    assert (found[MODEL].details.format, found[MODEL].details.family) == ("onnx", "qwen2")
    assert client.chat(model="llama3.2:latest", messages=[{"role": "user", "content": "a"}]).model == MODEL


@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        (MODEL, ["completion"]),
        (f"{MODEL}:latest", ["completion"]),
        (BASE, ["completion"]),
        (TALKER, ["completion", "tools", "thinking", "insert"]),
    ],
)
def test_a_model_is_described(llama, model, capabilities):
    shown = llama.show(model)
    assert shown.capabilities == capabilities
    family = shown.modelinfo["general.architecture"]
    assert shown.modelinfo[f"{family}.context_length"] > 0
    assert "temperature" in shown.parameters
    assert bool(shown.template) is (model != BASE)
    assert shown.modified_at.tzinfo


def test_the_older_name_of_the_model_is_understood(http):
    assert http.post("/api/show", json={"name": MODEL}).json() == http.post("/api/show", json={"model": MODEL}).json()


def test_loaded_models_are_listed_and_stay(llama):
    found = {model.model: model for model in llama.ps().models}
    assert set(found) == {MODEL, BASE, TALKER}
    assert found[MODEL].expires_at > dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=36_500)
    assert found[MODEL].context_length > 0


def test_the_version_is_one_that_clients_compare(http):
    parts = http.get("/api/version").json()["version"].split(".")
    assert all(part.isdigit() for part in parts)


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
def test_clients_find_out_that_it_runs(http, path):
    response = http.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_the_chat_page_is_still_at_the_root(http):
    assert http.get("/").headers["content-type"].startswith("text/html")


@pytest.fixture
def keyed(make_harness, tmp_path) -> tuple[str, Keys]:
    keys = Keys(tmp_path / "keys.json")
    keys.make("admin")
    return make_harness(policy=Policy(keys=keys.file.path)).url, keys


def test_a_key_is_needed_and_its_scope_counts(keyed, make_llama):
    url, keys = keyed

    def client(*scopes: str) -> ollama.Client:
        return make_llama(url, keys.make(*scopes))

    hello = {"model": MODEL, "messages": [{"role": "user", "content": "a"}]}
    with pytest.raises(ollama.ResponseError) as caught:
        make_llama(url).list()
    assert caught.value.status_code == 401
    assert client("read").list().models
    assert client("read").show(MODEL)
    assert client("read").ps()
    with pytest.raises(ollama.ResponseError) as caught:
        client("read").chat(**hello)
    assert caught.value.status_code == 403
    assert client("infer").chat(**hello).done
    assert client("infer").list().models
    with pytest.raises(ollama.ResponseError, match="on the box") as caught:
        client("admin").pull("llama3")
    assert caught.value.status_code == 403
    assert httpx.head(url, timeout=LIMIT_S).status_code == 200
