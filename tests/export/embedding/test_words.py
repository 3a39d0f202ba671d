"""The tokenizer of an embedding model and its settings in the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, processors

from appliance.artefact.manifest import Embedding
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, UnsupportedError
from export.embedding.words import words_of
from export.pooling.words import Words, read_task
from tests.encoders import make_tiny_encoder, tiny_word_pieces
from tests.export.embedding.folders import opened, read, write
from tests.refusals import refused


def words(folder: Path) -> Words:
    return words_of(opened(folder), read(folder))


def save(folder: Path, tokenizer: Tokenizer) -> None:
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def test_the_settings_are_those_of_the_model_and_come_back(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path / "model")
    write(folder, "config_sentence_transformers.json", {"prompts": {"query": "query : "}})
    made = words(folder)
    assert made.task == Embedding(32, 32, "mean", True, 50, (2,), (3,), {"query": "query : "})
    (tmp_path / "stage").mkdir()
    made.write(tmp_path / "stage")
    assert read_task(tmp_path / "stage", Embedding) == made.task


def test_the_published_truncation_and_padding_are_not_applied(tmp_path: Path):
    made = words(make_tiny_encoder(tmp_path))
    tokenizer = load_tokenizer(made.tokenizer)
    assert tokenizer.encode("the pump is hot").ids == [2, 4, 5, 6, 7, 3]
    assert tokenizer.encode("the").ids == [2, 4, 3]


@pytest.mark.parametrize(("lowercase", "ids"), [(True, [2, 4, 5, 3]), (False, [2, 1, 5, 3])])
def test_letters_become_lower_case_if_the_model_states_it(tmp_path: Path, lowercase: bool, ids: list[int]):
    folder = make_tiny_encoder(tmp_path)
    write(folder, "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": lowercase})
    assert load_tokenizer(words(folder).tokenizer).encode("The pump").ids == ids


def test_letters_become_lower_case_without_another_normaliser_too(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    tokenizer = tiny_word_pieces()
    tokenizer.normalizer = None
    save(folder, tokenizer)
    write(folder, "sentence_bert_config.json", {"do_lower_case": True})
    assert load_tokenizer(words(folder).tokenizer).encode("The pump").ids == [2, 4, 5, 3]


@pytest.mark.parametrize("single", ["$A", "[CLS] $A", "$A [SEP]", "[CLS]:1 $A:1 [SEP]:1"])
def test_a_tokenizer_without_the_special_tokens_is_refused(tmp_path: Path, single: str):
    folder = make_tiny_encoder(tmp_path)
    tokenizer = tiny_word_pieces()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair="$A $B", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    save(folder, tokenizer)
    with refused(UnsupportedError, "tokenizer.json"):
        words(folder)


def test_special_tokens_that_the_table_does_not_have_are_refused(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    document = json.loads(tiny_word_pieces().to_str())
    document["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [50]
    write(folder, "tokenizer.json", document)
    with refused(UnsupportedError, "first_token_ids", 50):
        words(folder)


def test_a_tokenizer_without_a_token_for_unknown_letters_is_refused(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    document = json.loads(tiny_word_pieces().to_str())
    document["model"]["unk_token"] = "[NONE]"
    write(folder, "tokenizer.json", document)
    with refused(IntegrityError, "tokenizer.json"):
        words(folder)


def test_more_tokens_than_rows_are_refused(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    tokenizer = tiny_word_pieces()
    tokenizer.add_tokens([f"word{index}" for index in range(40)])
    save(folder, tokenizer)
    with refused(UnsupportedError, 54, 50):
        words(folder)


def test_a_model_without_its_tokenizer_is_refused(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    (folder / "tokenizer.json").unlink()
    with refused(UnsupportedError, "tokenizer.json"):
        words(folder)


def test_a_damaged_tokenizer_is_refused(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with refused(IntegrityError, "tokenizer.json"):
        words(folder)


@pytest.mark.parametrize(("limit", "prompt"), [(2, ""), (4, "query :")])
def test_a_limit_that_leaves_no_token_for_a_text_is_refused(tmp_path: Path, limit: int, prompt: str):
    folder = make_tiny_encoder(tmp_path)
    write(folder, "config_sentence_transformers.json", {"prompts": {"query": prompt}})
    write(folder, "sentence_bert_config.json", {"max_seq_length": limit + 1})
    words(folder)
    write(folder, "sentence_bert_config.json", {"max_seq_length": limit})
    with refused(UnsupportedError, limit):
        words(folder)
