"""The manifest as bytes: what it says comes back, and what is wrong is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from appliance.artefact.manifest import Conversation, Generation, Manifest, ModelShape
from appliance.errors import IntegrityError

SHAPE = ModelShape(layers=1, kv_heads=1, head_dim=8, vocabulary=259, tokens=259, context_tokens=512)
MANIFEST = Manifest("m", "cpu", "p", "qwen2", SHAPE, Generation((1,)), files=(), inputs={})


@pytest.mark.parametrize("conversation", [None, Conversation(), Conversation("hermes", thinking=True)])
def test_what_it_says_of_conversations_comes_back(conversation: Conversation | None):
    manifest = replace(MANIFEST, conversation=conversation)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_manifest_that_says_nothing_of_conversations_has_the_bytes_it_always_had():
    assert "conversation" not in json.loads(MANIFEST.to_bytes())


@pytest.mark.parametrize("value", [5, None, {"tools": 5}, {"thinking": "yes"}, {"voice": "low"}])
def test_a_wrong_word_about_conversations_is_damage(value: object):
    document = json.loads(MANIFEST.to_bytes()) | {"conversation": value}
    with pytest.raises(IntegrityError, match="damaged"):
        Manifest.from_bytes(json.dumps(document).encode())


@pytest.mark.parametrize(("dtype", "size_bytes"), [("float32", 4), ("float16", 2), ("bfloat16", 2)])
def test_a_token_s_share_of_the_cache_follows_its_type(dtype: str, size_bytes: int):
    shape = replace(SHAPE, layers=3, kv_heads=2, cache_dtype=dtype)
    assert shape.cache_bytes_per_token == 2 * 3 * 2 * 8 * size_bytes
