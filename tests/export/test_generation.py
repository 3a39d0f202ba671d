"""Chat template, end tokens and sampling defaults: the publisher's where there are any, neutral otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.artefact.manifest import Generation
from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint import Checkpoint, open_checkpoint
from export.generation import Settings, chat_template, generation
from tests.checkpoints import CHAT_TEMPLATE, make_tiny_checkpoint, tiny_tokenizer
from tests.gguf_files import make_tiny_gguf
from tests.installed import files_in

IM_END, END_OF_TEXT = 258, 256


def tiny(folder: Path, **files: Any) -> Checkpoint:
    """A tiny checkpoint with some of its JSON files replaced, or removed by None."""
    make_tiny_checkpoint(folder)
    for name, content in files.items():
        path = folder / f"{name}.json"
        path.unlink()
        if content is not None:
            path.write_text(json.dumps(content))
    return open_checkpoint(files_in(folder))


def test_published_settings_are_kept(tmp_path: Path) -> None:
    assert generation(tiny(tmp_path), tiny_tokenizer()) == Generation(
        eos_token_ids=(IM_END, END_OF_TEXT),
        eos_token="<|im_end|>",
        temperature=0.7,
        top_p=0.8,
        top_k=20,
        repetition_penalty=1.1,
    )


def test_a_gguf_file_has_neutral_settings_and_both_ends_of_qwen(tmp_path: Path) -> None:
    checkpoint = open_checkpoint({"a.gguf": make_tiny_gguf(tmp_path / "a.gguf")})
    expected = Generation(eos_token_ids=(IM_END, END_OF_TEXT), eos_token="<|im_end|>")
    assert generation(checkpoint, tiny_tokenizer()) == expected
    assert chat_template(checkpoint) == CHAT_TEMPLATE


@pytest.mark.parametrize(
    ("stated", "expected"), [(7, (7, IM_END, END_OF_TEXT)), ([END_OF_TEXT], (END_OF_TEXT, IM_END)), (None, (258, 256))]
)
def test_the_publishers_first_end_token_comes_first_and_none_twice(
    tmp_path: Path, stated: Any, expected: tuple[int, ...]
) -> None:
    checkpoint = tiny(tmp_path, generation_config={"eos_token_id": stated})
    assert generation(checkpoint, tiny_tokenizer()).eos_token_ids == expected


def test_sampling_numbers_of_a_publisher_who_decodes_greedily_are_not_defaults(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path, generation_config={"do_sample": False, "temperature": 0.1, "top_k": 3})
    settings = generation(checkpoint, tiny_tokenizer())
    assert (settings.temperature, settings.top_k) == (1.0, 0)


def test_a_token_may_be_stated_as_an_object(tmp_path: Path) -> None:
    checkpoint = tiny(tmp_path, tokenizer_config={"bos_token": {"content": "<|im_start|>", "lstrip": False}})
    assert generation(checkpoint, tiny_tokenizer()).bos_token == "<|im_start|>"


@pytest.mark.parametrize(
    "settings", [{"eos_token_id": "2"}, {"eos_token_id": -1}, {"temperature": "hot"}, {"top_k": True}]
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        generation(tiny(tmp_path, generation_config=settings), tiny_tokenizer())


def test_a_base_model_has_no_template(tmp_path: Path) -> None:
    assert chat_template(tiny(tmp_path, tokenizer_config=None)) is None


def test_a_template_in_its_own_file_wins(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ 1 }}")
    assert chat_template(open_checkpoint(files_in(tmp_path))) == "{{ 1 }}"


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    templates = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    assert chat_template(tiny(tmp_path, tokenizer_config={"chat_template": templates})) == "d"


def test_several_templates_without_a_default_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="default"):
        chat_template(tiny(tmp_path, tokenizer_config={"chat_template": [{"name": "tools", "template": "t"}]}))


def test_settings_survive_a_round_trip() -> None:
    settings = Settings(259, Generation(eos_token_ids=(1, 2), temperature=0.5))
    assert Settings.from_bytes(settings.to_bytes()) == settings
