import dataclasses
from pathlib import Path

import pytest

from appliance.artefact.manifest import MANIFEST_NAME, Generation, Manifest, ModelShape, TextGeneration
from appliance.config import ModelConfig, ServeConfig
from appliance.errors import IntegrityError, UnknownModelError, UsageError
from appliance.layout import Layout
from appliance.supervisor.choose import choose, choose_set
from tests.refusals import refused

MANIFEST = Manifest(
    model="",
    target="cpu",
    preset="",
    architecture="qwen2",
    task=TextGeneration(
        ModelShape(layers=1, kv_heads=1, head_dim=8, vocabulary=10, tokens=10, context_tokens=16),
        Generation(eos_token_ids=(1,)),
    ),
    files=(),
    inputs={},
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "root", cache=tmp_path / "cache")


def _export(layout: Layout, model: str, preset: str, *, named: str = "") -> Path:
    folder = layout.plain_artefact(model, "cpu", preset)
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


def _labels(layout: Layout, serve: ServeConfig, *names: str, target: str | None = None) -> list[str]:
    return [artefact.label for artefact in choose_set(layout, serve, names, target, None)]


def test_the_set_without_names_is_the_only_model_or_that_of_the_configuration(layout: Layout):
    _export(layout, "tiny", "small")
    assert _labels(layout, ServeConfig()) == ["tiny (cpu-small)"]
    _export(layout, "other", "small")
    with refused(UsageError, "appliance up other tiny"):
        _labels(layout, ServeConfig())
    both = ServeConfig(model=(ModelConfig("tiny"), ModelConfig("other")))
    assert _labels(layout, both) == ["tiny (cpu-small)", "other (cpu-small)"]
    assert _labels(layout, both, "other") == ["other (cpu-small)"]


def test_a_model_of_the_set_has_its_own_target_and_preset(layout: Layout):
    for variant in (("tiny", "small"), ("tiny", "large"), ("other", "small")):
        _export(layout, *variant)
    serve = ServeConfig(target="cuda-sm90", model=(ModelConfig("tiny", preset="large", target="cpu"),))
    assert _labels(layout, serve) == ["tiny (cpu-large)"]
    with refused(UnknownModelError, "other is not exported for cuda-sm90"):
        _labels(layout, serve, "other")
    assert _labels(layout, serve, "other", "tiny", target="cpu") == ["other (cpu-small)", "tiny (cpu-large)"]


def test_a_set_with_a_name_twice_or_a_name_that_is_an_alias_is_refused(layout: Layout):
    _export(layout, "tiny", "small")
    with refused(UsageError, "tiny is named twice"):
        _labels(layout, ServeConfig(), "tiny", "tiny")
    serve = ServeConfig(model=(ModelConfig("other", aliases=("tiny",)),))
    with refused(UsageError, "alias of other"):
        _labels(layout, serve, "tiny")


def test_a_set_with_a_missing_or_damaged_model_is_refused(layout: Layout):
    _export(layout, "tiny", "small")
    with refused(UnknownModelError, "huge is not exported"):
        _labels(layout, ServeConfig(), "tiny", "huge")
    (_export(layout, "other", "small") / MANIFEST_NAME).write_text("{}")
    with pytest.raises(IntegrityError):
        _labels(layout, ServeConfig(), "tiny", "other")


def test_the_default_preset_is_taken_when_there_are_several(layout: Layout):
    _export(layout, "tiny", "small")
    folder = _export(layout, "tiny", "balanced")
    assert choose(layout, "tiny", "cpu", None).folder == folder
    assert choose(layout, "tiny", "cpu", "small").manifest.preset == "small"


def test_without_any_export_the_error_says_how_to_make_one(layout: Layout):
    with refused(UnknownModelError, "appliance model pull tiny; appliance export tiny"):
        choose(layout, "tiny", "cpu", None)


def test_an_unknown_model_is_told_what_there_is(layout: Layout):
    _export(layout, "tiny", "balanced")
    with refused(UnknownModelError, "tiny", "cpu-balanced"):
        choose(layout, "huge", "cpu", None)


def test_several_models_are_not_guessed_between(layout: Layout):
    _export(layout, "tiny", "balanced")
    _export(layout, "other", "balanced")
    with refused(UsageError, "other", "tiny"):
        choose(layout, None, "cpu", None)


def test_several_presets_without_the_default_are_not_guessed_between(layout: Layout):
    _export(layout, "tiny", "small")
    _export(layout, "tiny", "large")
    with refused(UnknownModelError, "cpu-large", "cpu-small"):
        choose(layout, "tiny", "cpu", None)


@pytest.mark.parametrize(("target", "preset"), [("cpu", "precise"), ("cuda-sm90", None)])
def test_an_absent_preset_or_target_is_told_with_the_command(layout: Layout, target: str, preset: str | None):
    _export(layout, "tiny", "balanced")
    with refused(UnknownModelError, f"appliance export tiny --target {target}"):
        choose(layout, "tiny", target, preset)


def test_no_export_is_offered_that_cannot_be_made(layout: Layout):
    _export(layout, "tiny", "balanced")
    with refused(UnknownModelError, "cpu-bf16", "cpu-balanced") as caught:
        choose(layout, "tiny", "cpu", "bf16")
    assert "--preset" in caught.value.hint
    assert "export" not in caught.value.hint
    with refused(UnknownModelError, "tpu"):
        choose(layout, "tiny", "tpu", None)


def test_a_folder_that_holds_another_model_is_refused(layout: Layout):
    _export(layout, "tiny", "balanced", named="other")
    with refused(UnknownModelError, "other", "tiny"):
        choose(layout, "tiny", "cpu", None)


def test_a_damaged_manifest_is_refused(layout: Layout):
    (_export(layout, "tiny", "balanced") / MANIFEST_NAME).write_text("{}")
    with pytest.raises(IntegrityError):
        choose(layout, "tiny", "cpu", None)
