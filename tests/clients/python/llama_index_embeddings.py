"""LlamaIndex: questions about a folder of documents, with a vector index in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import openai
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

from tests.clients.python.box import Box
from tests.clients.python.documents import DOCUMENTS, QUESTIONS, prompt
from tests.clients.python.expect import raises


def make(box: Box, **parameters) -> OpenAILikeEmbedding:
    asked = {"model_name": box.embedder, "api_key": box.key, "api_base": box.v1, "max_retries": 0, **parameters}
    return OpenAILikeEmbedding(**asked)


def embeddings(box: Box) -> None:
    found = make(box).get_text_embedding_batch(list(DOCUMENTS.values()))
    assert [len(vector) for vector in found] == [384] * len(DOCUMENTS)
    assert len(make(box).get_query_embedding("Which oil?")) == 384
    with raises(openai.BadRequestError, code="context_length_exceeded"):
        make(box).get_query_embedding("oil " * 1000)
    with raises(openai.NotFoundError, status_code=404):
        make(box, model_name="text-embedding-3-large").get_query_embedding("a")


def search(box: Box) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in DOCUMENTS.items():
            Path(folder, f"{name}.txt").write_text(text, encoding="utf-8")
        read = SimpleDirectoryReader(folder).load_data()
    index = VectorStoreIndex.from_documents(read, embed_model=make(box))
    chat = OpenAILike(
        model=box.model,
        api_key=box.key,
        api_base=box.v1,
        temperature=0,
        max_retries=0,
        max_tokens=60,
        is_chat_model=False,
    )
    for question, (name, fact) in QUESTIONS.items():
        (found,) = index.as_retriever(similarity_top_k=1).retrieve(question)
        assert Path(found.metadata["file_name"]).stem == name, (question, found)
        said = chat.chat([ChatMessage(prompt(found.get_content(), question))]).message.content
        assert fact in said, (question, said)
