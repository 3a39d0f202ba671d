"""Tokenizers: rebuilt from GGUF they cut texts as the published ones; unknown kinds are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, pre_tokenizers

from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint import open_checkpoint
from export.splitting import SPLITTINGS
from export.tokenizer import first_token, token_count, tokenizer_json
from tests.checkpoints import make_tiny_checkpoint, tiny_tokenizer
from tests.gguf_files import make_tiny_gguf
from tests.installed import files_in
from tests.oracle.texts import TOKENISED
from tests.refusals import refused


@dataclass
class Words:
    """A checkpoint that has nothing but words."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def gguf_words(**replaced: Any) -> Words:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    texts = [*letters, "he", "ll", "hell", "hello", "<|endoftext|>", "<tool_call>", "[PAD262]"]
    metadata = {
        "model": "gpt2",
        "pre": "qwen2",
        "tokens": texts,
        "token_type": [1] * (len(letters) + 4) + [3, 4, 5],
        "merges": ["h e", "l l", "he ll", "hell o"],
        "add_bos_token": False,
    } | replaced
    return Words({f"tokenizer.ggml.{key}": value for key, value in metadata.items() if value is not None})


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = make_tiny_gguf(tmp_path_factory.mktemp("words") / "a.gguf")
    return load_tokenizer(tokenizer_json(open_checkpoint({"a.gguf": path})))


@pytest.mark.parametrize("text", TOKENISED)
def test_a_rebuilt_tokenizer_gives_the_published_ids_and_the_text_back(rebuilt: Tokenizer, text: str) -> None:
    published = tiny_tokenizer().encode(text).ids
    assert rebuilt.encode(text).ids == published
    assert rebuilt.decode(published, skip_special_tokens=False) == tiny_tokenizer().decode(
        published, skip_special_tokens=False
    )


def test_padding_is_no_token(rebuilt: Tokenizer) -> None:
    assert token_count(rebuilt) == 259
    assert len(rebuilt.encode("[PAD259]").ids) == len("[PAD259]")


def test_merges_apply_in_their_order_and_added_tokens_first() -> None:
    tokenizer = load_tokenizer(tokenizer_json(gguf_words()))
    words = tokenizer.encode("hello<tool_call>hehe<|endoftext|>").tokens
    assert words == ["hello", "<tool_call>", "he", "he", "<|endoftext|>"]
    assert tokenizer.decode(tokenizer.encode("a<|endoftext|><tool_call>").ids) == "a<tool_call>"


def test_decomposed_characters_are_composed(rebuilt: Tokenizer) -> None:
    assert rebuilt.encode("e\u0301").ids == rebuilt.encode("\u00e9").ids


def test_distilled_models_of_deepseek_split_as_qwen_and_begin_with_their_first_token() -> None:
    plain = load_tokenizer(tokenizer_json(gguf_words()))
    words = gguf_words(pre="deepseek-r1-qwen", add_bos_token=True, bos_token_id=260)
    distilled = load_tokenizer(tokenizer_json(words))
    for text in TOKENISED:
        assert distilled.encode(text, add_special_tokens=False).ids == plain.encode(text).ids
        assert distilled.encode(text).ids == [260, *plain.encode(text).ids]
    assert first_token(words.metadata) == "<|endoftext|>"
    assert first_token(gguf_words().metadata) == ""


def numbers(pre: str) -> Words:
    """Words whose vocabulary has numbers of two to four digits, each made by merges."""
    digits = sorted(pre_tokenizers.ByteLevel.alphabet())
    added = ["12", "123", "1234", "\u0120a", "ab", "<|begin|>"]
    return gguf_words(
        pre=pre,
        tokens=[*digits, *added],
        token_type=[1] * (len(digits) + len(added) - 1) + [3],
        merges=["1 2", "12 3", "123 4", "\u0120 a"],
        add_bos_token=None,
        bos_token_id=len(digits) + len(added) - 1,
    )


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ("qwen2", ["1", "2", "3", "4", "\u0120a", "a", "b"]),
        # GPT-2's expression alone would make one word of all digits.
        ("smollm", ["1", "2", "3", "4", "\u0120a", "a", "b"]),
        # Up to three digits are a word, and "ab" is a token that no merge makes.
        ("llama-bpe", ["123", "4", "\u0120a", "ab"]),
    ],
)
def test_each_family_splits_digits_and_takes_words_as_published(pre: str, expected: list[str]) -> None:
    tokenizer = load_tokenizer(tokenizer_json(numbers(pre)))
    found = [token for text in ("1234 a", "ab") for token in tokenizer.encode(text, add_special_tokens=False).tokens]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't DON'T", {"smollm": ["don", "'t", " DON", "'", "T"], "llama-bpe": ["don", "'t", " DON", "'T"]}),
        ("x=(1)\n\n", {"smollm": ["x", "=(", "1", ")", "\n\n"], "llama-bpe": ["x", "=(", "1", ")\n\n"]}),
        ("a  b", {"smollm": ["a", " ", " b"], "llama-bpe": ["a", " ", " b"]}),
        (" 12", {"smollm": [" ", "1", "2"], "llama-bpe": [" ", "12"]}),
        ("\u0663\u0664\u00b2", {"smollm": ["\u0663", "\u0664", "\u00b2"], "llama-bpe": ["\u0663\u0664\u00b2"]}),
        ("e\u0301", {"smollm": ["e", "\u0301"], "llama-bpe": ["e", "\u0301"]}),
    ],
)
def test_words_are_those_of_the_expressions(text: str, words: dict[str, list[str]]) -> None:
    """No rule composes characters; digits of all scripts are digits."""
    for pre, expected in words.items():
        content = text.encode()
        pieces = SPLITTINGS[pre].pre_tokenizer().pre_tokenize_str(text)
        assert [text[begin:end] for _, (begin, end) in pieces] == expected
        tokenizer = load_tokenizer(tokenizer_json(gguf_words(pre=pre, add_bos_token=False)))
        assert len(tokenizer.encode(text).ids) == len(content)


def test_llama_3_begins_plain_texts_with_the_first_token_unless_the_file_says_otherwise() -> None:
    for pre, begins in (("qwen2", False), ("smollm", False), ("llama-bpe", True)):
        words = numbers(pre)
        first = [words.metadata["tokenizer.ggml.bos_token_id"]] if begins else []
        assert load_tokenizer(tokenizer_json(words)).encode("").ids == first
        silent = Words({**words.metadata, "tokenizer.ggml.add_bos_token": False})
        assert load_tokenizer(tokenizer_json(silent)).encode("").ids == []


@pytest.mark.parametrize("stated", [{}, {"bos_token_id": 999}, {"bos_token_id": -1}, {"bos_token_id": "0"}])
def test_a_first_token_that_the_file_does_not_have_is_refused(stated: dict[str, Any]) -> None:
    with refused(IntegrityError, "token"):
        tokenizer_json(gguf_words(add_bos_token=True, **stated))


def test_the_same_metadata_gives_the_same_bytes() -> None:
    assert tokenizer_json(gguf_words()) == tokenizer_json(gguf_words())


def test_a_published_tokenizer_is_taken_as_it_is(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    assert tokenizer_json(open_checkpoint(files_in(tmp_path))) == (tmp_path / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "replaced",
    [
        {"model": "llama"},
        {"pre": "gpt-4o"},
        {"pre": "tekken"},
        {"pre": None},
        {"add_eos_token": True},
        {"add_space_prefix": True},
    ],
)
def test_unknown_rules_are_refused(replaced: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="support"):
        tokenizer_json(gguf_words(**replaced))


@pytest.mark.parametrize(
    "replaced",
    [
        {"token_type": [1, 1]},
        {"tokens": []},
        {"tokens": [1, 2]},
        {"tokens": 7},
        {"token_type": ["1"]},
        {"merges": ["zz zz"]},
        {"merges": [5]},
        {"merges": ["no-space"]},
    ],
)
def test_lists_that_do_not_match_are_refused(replaced: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        tokenizer_json(gguf_words(**replaced))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"model": 1}', b"[" * 100_000, b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}'],
)
def test_a_damaged_tokenizer_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        load_tokenizer(content)


def test_a_tokenizer_cuts_and_pads_no_text_whatever_its_file_says() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    assert len(load_tokenizer(tokenizer.to_str().encode()).encode("hello").ids) == len("hello")


def test_a_model_without_tokenizer_is_refused() -> None:
    with refused(UnsupportedError, "tokenizer.json"):
        tokenizer_json(Words())
