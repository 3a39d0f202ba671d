"""An artefact for TensorRT brings what a plan is compared with: true texts, and what the checkpoint says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from appliance.artefact.folder import read_manifest
from appliance.engine.parity import LEAST_ALLOWED_KL, PARITY, answers, compare, from_bytes
from appliance.engine.trt_runner import TrtRunner
from appliance.errors import QualityError
from appliance.layout import Layout
from export.pipeline import export_as
from export.presets import PRESETS
from export.quality.text_set import load_texts
from tests.checkpoints import make_tiny_checkpoint, tiny_tokenizer
from tests.engine.device_on_host import open_executor, plan, tiny_graph
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint

MODEL = "tiny"


@pytest.fixture(scope="module", params=["qwen2", "qwen3"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A model's type, and its artefact."""
    folder = tmp_path_factory.mktemp(request.param)
    layout = Layout(root=folder / "root", cache=folder / "cache")
    install_checkpoint(layout, MODEL, files_in(make_tiny_checkpoint(folder / "checkpoint", request.param)))
    preset = replace(PRESETS["tensorrt-bf16"], max_mean_kl=10.0)
    return request.param, export_as(layout, MODEL, "cuda-sm89", preset, Steps()).folder


def test_the_manifest_lists_the_texts_that_a_plan_is_tried_on(exported: tuple[str, Path]) -> None:
    _, folder = exported
    assert PARITY in {entry.name for entry in read_manifest(folder).files}
    cases = from_bytes((folder / PARITY).read_bytes())
    tokenizer, texts = tiny_tokenizer(), [text.content for text in load_texts()]
    assert [case.prompt_tokens for case in cases] == [5, 32, 77, 150]
    for case in cases:
        assert any(text.startswith(tokenizer.decode(case.tokens, skip_special_tokens=False)) for text in texts)
        assert (np.diff(case.log_probabilities, axis=1) <= 0).all()


def test_the_graph_for_tensorrt_answers_as_expected_and_another_models_does_not(
    exported: tuple[str, Path], tmp_path: Path
) -> None:
    model_type, folder = exported
    cases = from_bytes((folder / PARITY).read_bytes())
    graph, shape = tiny_graph(tmp_path, model_type)
    shape = replace(shape, tokens=read_manifest(folder).shape.tokens)
    runner = TrtRunner(open_executor(plan(graph, capacity=256), shape, 4), shape, slots=4, running=4, capacity=200)
    found = answers(runner, cases)
    parity = compare(cases, found, shape.tokens)
    assert parity.mean_kl < 1e-4
    assert parity.top1_agreement > 0.95
    with pytest.raises(QualityError):
        compare(cases, [-10 * rows for rows in found], shape.tokens).check(LEAST_ALLOWED_KL)
