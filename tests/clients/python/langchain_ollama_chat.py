"""LangChain with Ollama's API."""

from __future__ import annotations

import ollama
from langchain_ollama import ChatOllama, OllamaEmbeddings

from tests.clients.python.box import TOO_LONG, Box
from tests.clients.python.documents import DOCUMENTS
from tests.clients.python.expect import raises
from tests.clients.python.langchain import Calls


def _connection(box: Box, key: str | None = None) -> dict:
    return {"base_url": box.http, "client_kwargs": {"headers": {"Authorization": f"Bearer {key or box.key}"}}}


def make(box: Box, *, key: str | None = None, max_tokens: int | None = None, **parameters) -> ChatOllama:
    # Ollama itself has no such option, so the class has no field for it.
    parameters.pop("ignore_eos", None)
    asked = {"model": box.model, "temperature": 0, "num_predict": max_tokens, **parameters}
    return ChatOllama(**_connection(box, key), **asked)


class _Calls(Calls):
    # The class ignores a choice of tools.
    forced = None


calls = _Calls(make)


def errors(box: Box) -> None:
    with raises(ollama.ResponseError, status_code=401):
        make(box, key="wrong").invoke("Hello")
    with raises(ollama.ResponseError, status_code=404):
        make(box, model="llama3.2").invoke("Hello")
    with raises(ollama.ResponseError, status_code=400):
        make(box).invoke(TOO_LONG)


def embeddings(box: Box) -> None:
    found = OllamaEmbeddings(model=box.embedder, **_connection(box)).embed_documents(list(DOCUMENTS.values()))
    assert [len(vector) for vector in found] == [384] * len(DOCUMENTS)
    with raises(ollama.ResponseError, status_code=404):
        OllamaEmbeddings(model="nomic-embed-text", **_connection(box)).embed_query("a")
