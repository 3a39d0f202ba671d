"""The export of the real checkpoint against what transformers says about the same file."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.chat_template.template import ChatTemplate
from appliance.layout import Layout
from appliance.store import open_model
from tests.real_model import NAME, artefact_of

pytestmark = pytest.mark.model
ENDS = (151645, 151643)


@pytest.fixture(scope="module")
def golden() -> Any:
    return json.loads((Path(__file__).parents[1] / "golden" / f"{NAME}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(real_box: Layout) -> Path:
    return artefact_of(real_box)


def test_the_tokenizer_gives_transformers_ids(folder: Path, golden: Any) -> None:
    tokenizer = load_tokenizer((folder / "tokenizer.json").read_bytes())
    for example in golden["tokenised"]:
        assert tokenizer.encode(example["text"]).ids == example["ids"], example["text"]
    for prompt in golden["prompts"]:
        assert tokenizer.encode(prompt["text"]).ids == prompt["ids"]


def test_conversations_render_as_transformers_renders_them(folder: Path, golden: Any) -> None:
    settings = read_manifest(folder).generation
    source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    template = ChatTemplate(source, bos_token=settings.bos_token, eos_token=settings.eos_token)
    for conversation in golden["conversations"]:
        assert template.render(conversation["messages"]) == conversation["text"]


def test_both_ends_of_a_qwen_chat_model_end_a_completion(folder: Path) -> None:
    assert read_manifest(folder).generation.eos_token_ids == ENDS


def test_the_reference_predicts_each_text_as_transformers_does(folder: Path, golden: Any) -> None:
    report = json.loads((folder / "report.json").read_bytes())
    for name, expected in golden["quality"]["negative_log_likelihoods"].items():
        found = math.log(report["texts"][name]["reference_perplexity"])
        assert found == pytest.approx(expected, abs=5e-4), name


def test_the_default_preset_keeps_its_tolerance(folder: Path) -> None:
    quality = read_manifest(folder).quality
    assert quality["mean_kl"] <= quality["max_mean_kl"] <= 0.01
    assert quality["top1_agreement"] > 0.9


BUILD = """
import sys
from pathlib import Path
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.preflight import Needs
from export.presets import DEFAULT, PRESETS
from appliance.memory import peak_bytes

checkpoint = open_checkpoint({"model.gguf": Path(sys.argv[1])})
architecture = describe(checkpoint.config)
preset, tokens = PRESETS[DEFAULT], architecture.vocabulary
ort.build(checkpoint, architecture, preset, tokens, Path(sys.argv[2]), lambda _done, _total: None)
needs = Needs.of(checkpoint, architecture, preset)
print(needs.memory_bytes, peak_bytes())
"""


@pytest.mark.proof
def test_building_stays_within_twice_the_largest_tensor_and_the_output(real_box: Layout, tmp_path: Path) -> None:
    (checkpoint,) = open_model(real_box, NAME).files.values()
    ran = subprocess.run(
        [sys.executable, "-c", BUILD, checkpoint, tmp_path], check=True, capture_output=True, text=True
    )
    limit, peak = map(int, ran.stdout.split())
    assert peak <= limit
