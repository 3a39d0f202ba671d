"""The files of a reranker: what is read, and what is refused because the graph would not follow it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, processors

from appliance.artefact.manifest import Reranking
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, UnsupportedError
from tests.cross_encoders import make_tiny_cross_encoder
from tests.encoders import tiny_word_pieces
from tests.export.reranking.test_graph import opened
from tests.refusals import refused

TRANSFORMER, PROMPTS = "sentence_bert_config.json", "config_sentence_transformers.json"
IDENTITY = "torch.nn.modules.linear.Identity"


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(("kind", "middle"), [("bert", (3,)), ("xlm-roberta", (3, 3))])
def test_the_settings_are_those_of_the_model(tmp_path: Path, kind: str, middle: tuple[int, ...]):
    words = opened(make_tiny_cross_encoder(tmp_path, kind)).words()
    assert words.task == Reranking(32, 50, (2,), middle, (3,))
    # Published with a truncation, which is not applied.
    assert load_tokenizer(words.tokenizer).encode("the pump is hot").ids == [2, 4, 5, 6, 7, 3]


def test_without_a_stated_limit_the_positions_are_the_limit(tmp_path: Path):
    folder = make_tiny_cross_encoder(tmp_path, "xlm-roberta")
    (folder / "tokenizer_config.json").unlink()
    assert opened(folder).words().task.max_tokens == 38


def test_the_files_of_sentence_transformers_are_read(tmp_path: Path):
    folder = make_tiny_cross_encoder(
        tmp_path,
        sbert_ce_default_activation_function=IDENTITY,
        sentence_transformers={"activation_fn": IDENTITY, "version": "4.1.0"},
    )
    states = {"text": {"method": "forward", "method_output_name": "logits"}}
    stated = {"transformer_task": "sequence-classification", "module_output_name": "scores", "modality_config": states}
    write(folder, TRANSFORMER, {**stated, "max_seq_length": 20, "do_lower_case": True})
    write(folder, PROMPTS, {"model_type": "CrossEncoder", "prompts": {}, "activation_fn": IDENTITY})
    words = opened(folder).words()
    assert words.task.max_tokens == 20
    assert load_tokenizer(words.tokenizer).encode("The PUMP", add_special_tokens=False).ids == [4, 5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"novelty": 1},
        {"hidden_size": 64},
        {"num_hidden_layers": 1},
        {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"},
        {"sentence_transformers": {"activation_fn": "own.Code"}},
        {"sentence_transformers": {"novelty": 1}},
        {"sentence_transformers": 5},
    ],
)
def test_a_configuration_that_the_graph_would_not_follow_is_refused(tmp_path: Path, wrong: dict[str, Any]):
    with pytest.raises(UnsupportedError):
        opened(make_tiny_cross_encoder(tmp_path, **wrong))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (TRANSFORMER, {"transformer_task": "feature-extraction"}, UnsupportedError),
        (TRANSFORMER, {"max_seq_length": 41}, UnsupportedError),
        (TRANSFORMER, {"novelty": 1}, UnsupportedError),
        (PROMPTS, {"model_type": "SentenceTransformer"}, UnsupportedError),
        (PROMPTS, {"prompts": {"query": "q: "}}, UnsupportedError),
        (PROMPTS, {"prompts": ["q: "]}, UnsupportedError),
        (PROMPTS, 5, IntegrityError),
    ],
)
def test_settings_that_serving_would_not_follow_are_refused(
    tmp_path: Path, name: str, content: Any, error: type[Exception]
):
    folder = make_tiny_cross_encoder(tmp_path)
    write(folder, name, content)
    with pytest.raises(error):
        opened(folder)


def test_a_model_with_several_labels_is_refused(tmp_path: Path):
    with refused(UnsupportedError, 3, "labels"):
        opened(make_tiny_cross_encoder(tmp_path, labels=3))


def test_a_tensor_that_no_reranker_has_is_refused_and_positions_are_left_out(tmp_path: Path):
    folder = make_tiny_cross_encoder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "bert.embeddings.position_ids": np.arange(40)[None]}, folder / "model.safetensors")
    opened(folder)
    save_file({**weights, "adapter.weight": np.zeros(2, np.float32)}, folder / "model.safetensors")
    with refused(UnsupportedError, "adapter.weight"):
        opened(folder)


@pytest.mark.parametrize(
    "pair",
    [
        "$A $B",
        "$A [SEP] $B [SEP]",
        "[CLS] $A $B [SEP]",
        "[CLS] $A [SEP] $B",
        "[CLS] $A [SEP] $B [SEP]",
        "[CLS] $B [SEP] $A:1 [SEP]:1",
        "[CLS] $A [SEP]:1 $B:1 [SEP]:1",
    ],
)
def test_a_tokenizer_with_other_special_tokens_or_types_is_refused(tmp_path: Path, pair: str):
    folder = make_tiny_cross_encoder(tmp_path)
    tokenizer: Tokenizer = tiny_word_pieces()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    with refused(UnsupportedError, "tokenizer.json"):
        opened(folder).words()


def test_types_that_the_model_does_not_have_do_not_matter(tmp_path: Path):
    folder = make_tiny_cross_encoder(tmp_path, "xlm-roberta")
    expected = opened(folder).words().task
    tokenizer = tiny_word_pieces()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    assert opened(folder).words().task == expected


def test_a_limit_that_leaves_no_token_for_a_text_is_refused(tmp_path: Path):
    folder = make_tiny_cross_encoder(tmp_path)
    write(folder, TRANSFORMER, {"max_seq_length": 5})
    opened(folder).words()
    write(folder, TRANSFORMER, {"max_seq_length": 4})
    with refused(UnsupportedError, 4):
        opened(folder).words()
