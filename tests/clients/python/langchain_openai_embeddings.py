"""LangChain: questions about a folder of documents, with a vector store in memory."""

from __future__ import annotations

import openai
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.clients.python.box import Box
from tests.clients.python.documents import DOCUMENTS, QUESTIONS, prompt
from tests.clients.python.expect import raises


def make(box: Box, **parameters) -> OpenAIEmbeddings:
    # Otherwise it sends the tokens of OpenAI's own models.
    asked = {"check_embedding_ctx_length": False, "max_retries": 0, "api_key": box.key, **parameters}
    return OpenAIEmbeddings(base_url=box.v1, **{"model": box.embedder, **asked})


def embeddings(box: Box) -> None:
    found = make(box).embed_documents(list(DOCUMENTS.values()))
    assert [len(vector) for vector in found] == [384] * len(DOCUMENTS)
    assert len(make(box).embed_query("Which oil?")) == 384
    with raises(openai.BadRequestError, code="context_length_exceeded"):
        make(box).embed_query("oil " * 1000)
    with raises(openai.NotFoundError, status_code=404):
        make(box, model="text-embedding-3-large").embed_query("a")


def search(box: Box) -> None:
    store = InMemoryVectorStore(make(box))
    store.add_documents([Document(text, metadata={"source": name}) for name, text in DOCUMENTS.items()])
    chat = ChatOpenAI(base_url=box.v1, api_key=box.key, model=box.model, temperature=0, max_retries=0, max_tokens=60)
    for question, (name, fact) in QUESTIONS.items():
        (found,) = store.similarity_search(question, k=1)
        assert found.metadata["source"] == name, (question, found)
        said = chat.invoke(prompt(found.page_content, question)).text
        assert fact in said, (question, said)
