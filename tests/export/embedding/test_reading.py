"""The files of an embedding model: what is read, and what is refused because the graph would not follow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from appliance.errors import IntegrityError, UnsupportedError
from tests.encoders import make_tiny_encoder
from tests.export.embedding.folders import read, write
from tests.refusals import refused

MODULES = "modules.json"
POOLING = "1_Pooling.config.json"
TRANSFORMER = "sentence_bert_config.json"
PROMPTS = "config_sentence_transformers.json"
KIND = "sentence_transformers.models"


def test_the_pooling_and_the_limit_are_read(tmp_path: Path):
    model = read(make_tiny_encoder(tmp_path, mode="cls_token", normalise=False))
    assert (model.pooling.mode, model.pooling.normalise) == ("cls", False)
    assert (model.preparation.max_tokens, model.preparation.lowercase) == (32, False)
    assert (model.preparation.prefixes, model.preparation.notes) == ({}, ())


def test_the_files_of_the_newest_library_say_the_same(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    expected = read(folder)
    write(folder, POOLING, {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True})
    modules = [
        ("base.modules.transformer.Transformer", ""),
        ("sentence_transformer.modules.pooling.Pooling", "1_Pooling"),
    ]
    modules.append(("sentence_transformer.modules.normalize.Normalize", "2_Normalize"))
    write(folder, MODULES, [{"type": f"sentence_transformers.{kind}", "path": path} for kind, path in modules])
    write(
        folder,
        TRANSFORMER,
        {
            "max_seq_length": 32,
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        },
    )
    assert read(folder) == expected


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (None, 38),
        ({}, 38),
        ({"model_max_length": 20}, 20),
        ({"model_max_length": 1_000_000_000_000_000_019_884_624_838_656}, 38),
        ({"model_max_length": 1e30}, 38),
    ],
)
def test_without_a_stated_limit_the_tokenizer_and_the_positions_are_the_limit(
    tmp_path: Path, tokenizer: Any, expected: int
):
    folder = make_tiny_encoder(tmp_path, "xlm-roberta")
    write(folder, TRANSFORMER, None)
    write(folder, "tokenizer_config.json", tokenizer)
    assert read(folder).preparation.max_tokens == expected


def test_the_older_name_of_a_limit_is_read(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path, "xlm-roberta")
    (folder / TRANSFORMER).rename(folder / "sentence_xlm-roberta_config.json")
    assert read(folder).preparation.max_tokens == 32


@pytest.mark.parametrize(
    ("prompts", "prefixes"),
    [
        ({"query": "query: ", "document": "passage: "}, {"query": "query: ", "document": "passage: "}),
        ({"query": "q: ", "passage": "p: "}, {"query": "q: ", "document": "p: "}),
        ({"query": "", "document": ""}, {}),
        ({"passage": "p: ", "document": ""}, {}),
        ({}, {}),
        (None, {}),
    ],
)
def test_prompts_are_the_prefixes_of_their_purposes(tmp_path: Path, prompts: Any, prefixes: dict[str, str]):
    folder = make_tiny_encoder(tmp_path)
    write(folder, PROMPTS, {"__version__": {"pytorch": "2"}, "prompts": prompts, "similarity_fn_name": "cosine"})
    assert read(folder).preparation.prefixes == prefixes


def test_a_prompt_for_another_purpose_is_noted(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    write(folder, PROMPTS, {"prompts": {"query": "q: ", "STS": "s: "}, "default_prompt_name": None})
    (note,) = read(folder).preparation.notes
    assert "'STS'" in note


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_type": "bert", "hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"is_causal": True},
        {"num_attention_heads": 5},
        {"novelty": 1},
        {"hidden_size": 64},
        {"max_position_embeddings": 80},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 3},
        {"model_type": "xlm-roberta", "pad_token_id": 40},
    ],
)
def test_a_configuration_that_the_graph_would_not_follow_is_refused(tmp_path: Path, wrong: dict[str, Any]):
    folder = make_tiny_encoder(tmp_path, **wrong)
    with pytest.raises(UnsupportedError):
        read(folder)


def test_notes_of_berts_first_programs_are_no_unknown_keys(tmp_path: Path):
    read(make_tiny_encoder(tmp_path, directionality="bidi", pooler_type="first_token_transform", output_past=True))


def test_a_head_that_is_no_part_of_an_encoder_is_refused(tmp_path: Path):
    folder = make_tiny_encoder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] = np.zeros((2, 32), np.float32)
    save_file(weights, folder / "model.safetensors")
    with refused(UnsupportedError, "classifier.weight"):
        read(folder)


def modules(**wrong: Any) -> list[dict[str, Any]]:
    """The modules of a model; of the pooling's, keys are replaced or added."""
    return [
        {"type": f"{KIND}.Transformer", "path": ""},
        {"type": f"{KIND}.Pooling", "path": "1_Pooling", **wrong},
    ]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (MODULES, None, UnsupportedError),
        (MODULES, [*modules(), {"type": f"{KIND}.Dense", "path": "2_Dense"}], UnsupportedError),
        (MODULES, modules()[:1], UnsupportedError),
        (MODULES, modules(path="2_Pooling"), UnsupportedError),
        (MODULES, modules(type="custom_code.Pooling"), UnsupportedError),
        (MODULES, modules(type=5), UnsupportedError),
        (MODULES, modules(kwargs=["task"]), UnsupportedError),
        (MODULES, [], UnsupportedError),
        (MODULES, [[]], IntegrityError),
        (MODULES, 5, IntegrityError),
        (POOLING, None, UnsupportedError),
        (POOLING, {}, UnsupportedError),
        (POOLING, {"pooling_mode_max_tokens": True}, UnsupportedError),
        (POOLING, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, UnsupportedError),
        (POOLING, {"pooling_mode": ["mean", "cls"]}, UnsupportedError),
        (POOLING, {"pooling_mode": {"mean": 1}}, UnsupportedError),
        (POOLING, {"pooling_mode": "lasttoken"}, UnsupportedError),
        (POOLING, {"pooling_mode": "mean", "word_embedding_dimension": 64}, UnsupportedError),
        (POOLING, {"pooling_mode": "mean", "include_prompt": False}, UnsupportedError),
        (POOLING, {"pooling_mode": "mean", "novelty": 1}, UnsupportedError),
        (POOLING, [], IntegrityError),
        (TRANSFORMER, {"max_seq_length": 41}, UnsupportedError),
        (TRANSFORMER, {"max_seq_length": True}, UnsupportedError),
        (TRANSFORMER, {"do_lower_case": "yes"}, UnsupportedError),
        (TRANSFORMER, {"transformer_task": "fill-mask"}, UnsupportedError),
        (TRANSFORMER, {"model_args": {"attn_implementation": "eager"}}, UnsupportedError),
        (TRANSFORMER, {"novelty": 1}, UnsupportedError),
        (PROMPTS, {"novelty": 1}, UnsupportedError),
        (PROMPTS, {"model_type": "CrossEncoder"}, UnsupportedError),
        (PROMPTS, {"truncate_dim": 16}, UnsupportedError),
        (PROMPTS, {"prompts": {"query": "q: "}, "default_prompt_name": "query"}, UnsupportedError),
        (PROMPTS, {"prompts": {}, "default_prompt_name": "query"}, UnsupportedError),
        (PROMPTS, {"prompts": ["q: "]}, IntegrityError),
        (PROMPTS, {"prompts": {"query": 5}}, IntegrityError),
        (PROMPTS, 5, IntegrityError),
    ],
)
def test_settings_that_the_graph_would_not_follow_are_refused_by_the_name_of_the_file(
    tmp_path: Path, name: str, content: Any, error: type[Exception]
):
    folder = make_tiny_encoder(tmp_path)
    write(folder, name, content)
    with pytest.raises(error) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
