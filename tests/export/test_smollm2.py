"""SmolLM2 of the catalogue, a model of another maker, against what llama.cpp says about the same file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import Conversation
from appliance.artefact.tokenizer import load_tokenizer
from appliance.chat_template.template import ChatTemplate
from appliance.layout import Layout
from appliance.store import ArtefactStore, open_model
from export.checkpoint import Checkpoint, open_checkpoint
from export.presets import DEFAULT, PRESETS
from export.reading import architecture_of
from export.words import Words
from tests.real_model import SMALL, command, pulled_layout

pytestmark = pytest.mark.model
GOLDEN = Path(__file__).parents[1] / "golden" / f"{SMALL}.json"


@pytest.fixture(scope="module")
def golden() -> Any:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def layout() -> Layout:
    return pulled_layout(SMALL)


@pytest.fixture(scope="module")
def checkpoint(layout: Layout) -> Checkpoint:
    return open_checkpoint(open_model(layout, SMALL).files)


@pytest.fixture(scope="module")
def words(checkpoint: Checkpoint) -> Words:
    return Words.of(checkpoint, architecture_of(checkpoint).vocabulary)


def test_the_tokenizer_gives_llama_cpps_ids(words: Words, golden: Any) -> None:
    tokenizer = load_tokenizer(words.tokenizer)
    for example in golden["tokenised"]:
        assert tokenizer.encode(example["text"]).ids == example["ids"], example["text"]
    assert len(golden["tokenised"]) > 30


def test_it_converses_as_its_own_template_and_tokens_say(words: Words) -> None:
    assert words.settings.conversation == Conversation()
    assert words.notes == ()
    tokenizer = load_tokenizer(words.tokenizer)
    settings = words.settings.generation
    assert [tokenizer.id_to_token(token) for token in settings.eos_token_ids] == ["<|im_end|>", "<|endoftext|>"]
    assert words.template is not None
    template = ChatTemplate(words.template, bos_token=settings.bos_token, eos_token=settings.eos_token)
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert template.render(turns) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.proof
def test_the_export_predicts_each_text_as_llama_cpp_does_and_keeps_its_tolerance(layout: Layout, golden: Any) -> None:
    """llama.cpp quantises activations to 8 bits: its likelihoods differ a little from those of the weights."""
    command(layout, "export", SMALL)
    folder = ArtefactStore(layout).releases(SMALL, f"cpu-{PRESETS[DEFAULT].finer}").current()
    assert folder is not None
    quality = read_manifest(folder).quality
    assert quality["mean_kl"] <= quality["max_mean_kl"] <= 0.01
    report = json.loads((folder / "report.json").read_bytes())
    for name, expected in golden["negative_log_likelihoods"].items():
        assert math.log(report["texts"][name]["reference_perplexity"]) == pytest.approx(expected, rel=0.02), name
