"""Log-probabilities of tokens that are parts of characters: each has its true bytes, a name, and its place."""

from __future__ import annotations

import codecs
from typing import Any

import pytest

from tests.gateway.fake_triton import piece, usage
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Emoji, please"}]
TEXT = "a🎉é世🇩🇪!"
# One token a byte.
IDS = tiny_tokenizer().encode(TEXT).ids
OTHERS = tiny_tokenizer().encode("🎉🎊世").ids[:10]
END = tiny_tokenizer().token_to_id("<|im_end|>")


async def script(asked: Any):
    """Says the text byte by byte, each with other bytes as alternatives, and then its end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for token, byte in zip(IDS, TEXT.encode(), strict=True):
        others = {str(other): {"logprob": -2.0 - rank} for rank, other in enumerate(OTHERS) if other != token}
        logprobs = [{str(token): {"logprob": -1.0}, **others}]
        yield piece(decoder.decode(bytes([byte])), [token], logprobs=logprobs)
    yield piece("", [END], logprobs=[{str(END): {"logprob": -0.5}}])
    yield piece("", [], finish="stop", usage=usage(asked, len(IDS) + 1))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_bytes_of_a_chats_tokens_are_its_text(client, harness, stream):
    harness.triton.script = script
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, logprobs=True, top_logprobs=20, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    *tokens, end = [token for choice in choices if choice.logprobs for token in choice.logprobs.content]
    assert bytes(byte for token in tokens for byte in token.bytes).decode() == TEXT
    assert bytes(end.bytes).decode() == end.token == "<|im_end|>"
    assert [token.token for token in tokens[:3]] == ["a", "\\xf0", "\\x9f"]
    for token in tokens:
        assert len({bytes(top.bytes) for top in token.top_logprobs}) == len(token.top_logprobs)


def test_the_bytes_of_a_responses_tokens_are_its_text(client, harness):
    harness.triton.script = script
    answer = client.responses.create(
        model=MODEL, input="Emoji, please", include=["message.output_text.logprobs"], top_logprobs=20
    )
    tokens = answer.output[0].content[0].logprobs[:-1]
    assert bytes(byte for token in tokens for byte in token.bytes).decode() == TEXT


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_completions_alternatives_have_names_of_their_own_and_its_tokens_their_places(client, harness, stream):
    harness.triton.script = script
    answer = client.completions.create(model=MODEL, prompt="a", logprobs=20, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    found = [choice.logprobs for choice in choices if choice.logprobs]
    tokens = [token for one in found for token in one.tokens]
    assert tokens[:3] == ["a", "bytes:\\xf0", "bytes:\\x9f"]
    counts = [len(alternatives) for one in found for alternatives in one.top_logprobs]
    assert counts == [len({token, *OTHERS}) for token in IDS] + [1]
    offsets = [offset for one in found for offset in one.text_offset]
    # A part of a character is where the character is, and the end is behind the text.
    expected = [at for at, character in enumerate(TEXT) for _ in character.encode()]
    assert offsets == [*expected, len(TEXT)]
