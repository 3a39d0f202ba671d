import dataclasses
from pathlib import Path

import pytest

from appliance.artefact.manifest import MANIFEST_NAME, Generation, Manifest, ModelShape
from appliance.errors import IntegrityError, UnknownModelError, UsageError
from appliance.layout import Layout
from appliance.supervisor.choose import choose

MANIFEST = Manifest(
    model="",
    target="cpu",
    preset="",
    architecture="qwen2",
    shape=ModelShape(layers=1, kv_heads=1, head_dim=8, vocabulary=10, tokens=10, context_tokens=16),
    generation=Generation(eos_token_ids=(1,)),
    files=(),
    inputs={},
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "root", cache=tmp_path / "cache")


def _export(layout: Layout, model: str, preset: str, *, named: str = "") -> Path:
    folder = layout.artefact(model, "cpu", preset)
    folder.mkdir(parents=True)
    manifest = dataclasses.replace(MANIFEST, model=named or model, preset=preset)
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return folder


def test_the_only_artefact_needs_no_name(layout: Layout):
    folder = _export(layout, "tiny", "small")
    found = choose(layout, None, "cpu", None)
    assert found.folder == folder
    assert found.manifest.model == "tiny"
    assert len(found.sha256) == 64
    assert found.label == "tiny (cpu-small)"


def test_the_default_preset_is_taken_when_there_are_several(layout: Layout):
    _export(layout, "tiny", "small")
    folder = _export(layout, "tiny", "balanced")
    assert choose(layout, "tiny", "cpu", None).folder == folder
    assert choose(layout, "tiny", "cpu", "small").manifest.preset == "small"


def test_without_any_export_the_error_says_how_to_make_one(layout: Layout):
    with pytest.raises(UnknownModelError, match=r"no exported model.*appliance model pull tiny; appliance export tiny"):
        choose(layout, "tiny", "cpu", None)


def test_an_unknown_model_is_told_what_there_is(layout: Layout):
    _export(layout, "tiny", "balanced")
    with pytest.raises(UnknownModelError, match=r"exported are: tiny \(cpu-balanced\)"):
        choose(layout, "huge", "cpu", None)


def test_several_models_are_not_guessed_between(layout: Layout):
    _export(layout, "tiny", "balanced")
    _export(layout, "other", "balanced")
    with pytest.raises(UsageError, match="other, tiny"):
        choose(layout, None, "cpu", None)


def test_several_presets_without_the_default_are_not_guessed_between(layout: Layout):
    _export(layout, "tiny", "small")
    _export(layout, "tiny", "large")
    with pytest.raises(UnknownModelError, match="exported are: cpu-large, cpu-small"):
        choose(layout, "tiny", "cpu", None)


@pytest.mark.parametrize(("target", "preset"), [("cpu", "precise"), ("cuda-sm90", None)])
def test_an_absent_preset_or_target_is_told_with_the_command(layout: Layout, target: str, preset: str | None):
    _export(layout, "tiny", "balanced")
    with pytest.raises(UnknownModelError, match=f"appliance export tiny --target {target}"):
        choose(layout, "tiny", target, preset)


def test_no_export_is_offered_that_cannot_be_made(layout: Layout):
    _export(layout, "tiny", "balanced")
    with pytest.raises(UnknownModelError, match="not exported as cpu-bf16; exported are: cpu-balanced") as caught:
        choose(layout, "tiny", "cpu", "bf16")
    assert caught.value.hint == "choose one of these with --target and --preset"
    with pytest.raises(UnknownModelError, match="no target 'tpu'"):
        choose(layout, "tiny", "tpu", None)


def test_a_folder_that_holds_another_model_is_refused(layout: Layout):
    _export(layout, "tiny", "balanced", named="other")
    with pytest.raises(UnknownModelError, match="contains other, not tiny"):
        choose(layout, "tiny", "cpu", None)


def test_a_damaged_manifest_is_refused(layout: Layout):
    (_export(layout, "tiny", "balanced") / MANIFEST_NAME).write_text("{}")
    with pytest.raises(IntegrityError):
        choose(layout, "tiny", "cpu", None)
