"""Tokens to text: incremental decoding equals decoding at once, and half a character is never emitted."""

import json

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from appliance.artefact.tokenizer import load_tokenizer
from appliance.engine.tokenizer import Detokeniser, Tokenizer
from appliance.errors import IntegrityError, RequestError, UnsupportedError
from appliance.token_bytes import TokenBytes
from tests.checkpoints import tiny_tokenizer
from tests.engine.toy import toy_tokenizer
from tests.refusals import refused

TOY = toy_tokenizer()


def byte_level_backend():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def sentencepiece_backend():
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁hello", "wörld", "!"]
    backend = tokenizers.Tokenizer(
        models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=[], unk_token="<unk>", byte_fallback=True)
    )
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return backend


@given(st.text())
def test_text_survives_the_round_trip(text):
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    assert TOY.decode(TOY.encode(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_incremental_text_adds_up_and_has_no_broken_character_on_the_way(text):
    incremental = Detokeniser(TOY)
    pieces = [incremental.push(token) for token in TOY.encode(text)]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@given(st.lists(st.integers(0, 255)))
def test_arbitrary_bytes_decode_as_the_library_decodes_them(ids):
    assert TOY.decode(ids) == byte_level_backend().decode(ids)


def test_half_a_character_at_the_end_is_not_emitted():
    incremental = Detokeniser(TOY)
    pieces = [incremental.push(token) for token in TOY.encode("a\U0001f600")[:-1]]
    assert "".join(pieces) == "a"


def test_special_tokens_have_no_text_and_added_ones_do():
    backend = byte_level_backend()
    backend.add_special_tokens(["<|end|>"])
    backend.add_tokens([tokenizers.AddedToken("<tool call é>", special=False)])
    tokenizer = Tokenizer(backend)
    ids = tokenizer.encode("x<|end|><tool call é>y")
    assert len(ids) == 4
    assert tokenizer.decode(ids) == "x<tool call é>y" == backend.decode(ids)


def test_ids_that_no_token_has_have_no_text():
    assert TOY.decode([100_000]) == ""


def test_sentencepiece_tokens_with_byte_fallback_decode_as_the_library_decodes_them():
    backend = sentencepiece_backend()
    tokenizer = Tokenizer(backend)
    ids = [258, 257, 259, 260, *(1 + byte for byte in "é€".encode())]
    assert tokenizer.decode(ids) == backend.decode(ids) == " hello wörld!é€"
    incremental = Detokeniser(tokenizer)
    assert [incremental.push(token) for token in ids] == [" hello", " ", "wörld", "!", "", "é", "", "", "€"]


def test_the_first_space_of_an_answer_is_kept_though_the_decoder_of_whole_texts_removes_it():
    """Llama 2's and Mistral's form: a text gets a space before it, which decoding the whole text takes away."""
    backend = sentencepiece_backend()
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(parts)
    ids = [258, 259, 260]
    assert Tokenizer(backend).decode(ids) == " hellowörld!" == " " + backend.decode(ids)
    backend.decoder = decoders.Sequence([*parts[:3], decoders.Strip("!", 0, 1)])
    with pytest.raises(UnsupportedError, match="Sequence"):
        Tokenizer(backend)


def test_a_decoder_that_is_not_known_is_refused():
    backend = byte_level_backend()
    backend.decoder = decoders.WordPiece()
    with pytest.raises(UnsupportedError, match="WordPiece"):
        Tokenizer(backend)


def test_half_a_surrogate_pair_is_refused():
    with refused(RequestError, "character 2"):
        TOY.encode("ab\ud83d")


def test_special_tokens_of_the_model_are_added_on_request():
    backend = byte_level_backend()
    backend.add_special_tokens(["<bos>"])
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 256)]
    )
    tokenizer = Tokenizer(backend)
    assert tokenizer.encode("a")[0] == 256
    assert 256 not in tokenizer.encode("a", add_special_tokens=False)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text("{")
    with refused(IntegrityError, "tokenizer.json"):
        Tokenizer.load(file)
    with refused(IntegrityError, "tokenizer.json"):
        Tokenizer.load(tmp_path / "absent" / "tokenizer.json")


def test_a_saved_tokenizer_loads(tmp_path):
    file = tmp_path / "tokenizer.json"
    byte_level_backend().save(str(file))
    assert Tokenizer.load(file).encode("a") == TOY.encode("a")


def with_added(added):
    backend = byte_level_backend()
    content = json.loads(backend.to_str())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    content["added_tokens"] = [
        {"id": token, "content": text, "special": special, **flags} for token, text, special in added
    ]
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("added", "is_read_without_the_library"),
    [
        ([], True),
        ([(256, "<|end|>", True), (257, "<tool>", False)], True),
        ([(65, "\u0104", True)], False),
        ([(0, "!", False), (256, "<|end|>", True)], True),
        # The library gives each of these an id of its own.
        ([(300, "<|end|>", True)], False),
        ([(256, "<|end|>", True), (257, "<|end|>", True)], False),
        ([(256, "", True), (257, "<tool>", False)], False),
        ([(257, "<tool>", False), (256, "<|end|>", True)], False),
    ],
)
def test_the_tokens_of_a_file_are_those_of_the_library(tmp_path, added, is_read_without_the_library):
    content = with_added(added)
    direct = TokenBytes.of_json(content)
    assert (direct is not None) == is_read_without_the_library
    (tmp_path / "tokenizer.json").write_bytes(content)
    loaded, library = Tokenizer.load(tmp_path / "tokenizer.json"), Tokenizer(load_tokenizer(content))
    assert loaded.special_tokens == library.special_tokens
    assert loaded.vocabulary(400) == library.vocabulary(400)
    assert loaded.encode("a<|end|>!<tool>") == library.encode("a<|end|>!<tool>")


@pytest.mark.parametrize("backend", [sentencepiece_backend(), byte_level_backend(), tiny_tokenizer()])
def test_the_vocabulary_of_a_file_is_that_of_the_library(backend):
    direct = TokenBytes.of_json(backend.to_str().encode())
    assert direct is not None
    assert direct.first(500) == TokenBytes.of_library(backend).first(500)


def test_a_file_with_an_unknown_decoder_or_another_model_is_left_to_the_library():
    backend = tokenizers.Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0, byte_fallback=False))
    assert TokenBytes.of_json(backend.to_str().encode()) is None
    assert TokenBytes.of_json(b"[]") is None
    unknown = byte_level_backend()
    unknown.decoder = decoders.WordPiece()
    with pytest.raises(UnsupportedError, match="WordPiece"):
        TokenBytes.of_json(unknown.to_str().encode())
