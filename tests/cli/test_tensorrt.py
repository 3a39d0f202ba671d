"""`appliance tensorrt …` from the outside. The plans are real; the GPU is not there, so nothing runs them."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from appliance.artefact.manifest import MANIFEST_NAME, ORT_CUDA, Manifest
from appliance.engine.parity import Parity
from appliance.gpu import Gpu
from tests.cli.outcome import Outcome, caller
from tests.tensorrt.conftest import L4, TRIED, no_smoke
from tests.tensorrt.step_graph import make_plan_artefact

BUILD = ("build", "tiny", "--target", "cuda-sm89")
SMALL = ("--slots", "2", "--context", "64", "--chunk", "16")


@pytest.fixture
def tensorrt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    return caller(tmp_path, "tensorrt", capsys)


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    folder = tmp_path / "exports" / "tiny" / "cuda-sm89-tensorrt-fp16"
    make_plan_artefact(folder)
    return folder


@pytest.fixture
def l4(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the box have an L4, or one that differs from it; and let no plan be run on it."""

    def install(**changes: object) -> None:
        gpu: Gpu = dataclasses.replace(L4, **changes)  # type: ignore[arg-type]
        monkeypatch.setattr("appliance.cli.tensorrt.build.find_gpu", lambda: gpu)
        monkeypatch.setattr("appliance.supervisor.hardware.find_gpu", lambda: gpu)

    monkeypatch.setattr("appliance.cli.tensorrt.build.smoke", no_smoke)
    install()
    return install


@pytest.mark.usefixtures("artefact", "l4")
def test_an_engine_is_built_once_and_shown(tensorrt, tmp_path):
    first = tensorrt(*BUILD, *SMALL)
    assert first.status == 0, first.err
    assert first.out.startswith(f"Built: {tmp_path / 'engines' / 'plans' / 'tiny' / 'cuda-sm89-tensorrt-fp16'}/")
    assert "serves          2 slots, context 64, chunk 16" in first.out
    assert "building: 100 %" in first.err
    # What is not said stays as it is.
    second = tensorrt(*BUILD)
    assert second.out.startswith("Already built: ")
    assert second.err == ""
    listed = tensorrt("list").out.splitlines()
    assert listed[0].split() == ["MODEL", "FOR", "STATE", "SERVES", "SIZE", "BUILT", "WITH"]
    assert listed[1].startswith("tiny   cuda-sm89-tensorrt-fp16  current  2 slots, context 64, chunk 16")
    shown = tensorrt("show", "tiny").out
    for words in (
        "plan of",
        "NVIDIA L4 GPU-5f1c0d1e",
        "strongly-typed",
        "from model.onnx",
        *(f"smoke test, {name}" for name in TRIED.figures),
    ):
        assert words in shown


@pytest.mark.usefixtures("artefact", "l4")
def test_scripts_get_the_record(tensorrt):
    built = tensorrt(*BUILD, *SMALL, "--json").document
    assert built["built"] is True
    assert built["state"] == "current"
    assert built["key"]["profile"] == {"slots": 2, "context_tokens": 64, "chunk_tokens": 16}
    assert built["smoke"] == TRIED.figures
    del built["built"]
    assert tensorrt("list", "--json").document == tensorrt("show", "tiny", "--json").document == [built]
    assert "signature" not in built


@pytest.mark.usefixtures("artefact", "l4")
def test_another_profile_makes_another_engine_and_prune_removes_the_oldest(tensorrt):
    for slots in "123":
        assert tensorrt(*BUILD, *SMALL, "--slots", slots).status == 0
    assert sorted(row["state"] for row in tensorrt("list", "--json").document) == ["current", "old", "previous"]
    old = next(row["folder"] for row in tensorrt("list", "--json").document if row["state"] == "old")
    pruned = tensorrt("prune", "--json").document
    assert pruned["removed"] == [old]
    assert pruned["freed_bytes"] > 1000
    assert tensorrt("prune").out == "removed 0 plans, 0 B\n"
    assert sorted(row["state"] for row in tensorrt("list", "--json").document) == ["current", "previous"]


@pytest.mark.usefixtures("artefact", "l4")
def test_an_engine_that_fails_its_test_exits_with_10_and_is_not_there(tensorrt, monkeypatch):
    def smoke(*_: object) -> Mapping[str, float]:
        Parity(mean_kl=3.0, worst_kl=9.0, top1_agreement=0.0, rows=52).check(0.1)
        return {}

    monkeypatch.setattr("appliance.cli.tensorrt.build.smoke", smoke)
    outcome = tensorrt(*BUILD, *SMALL)
    assert outcome.status == 10
    assert tensorrt("list", "--json").document == []


@pytest.mark.usefixtures("artefact", "l4")
def test_a_foreign_engine_is_listed_with_its_fault_and_not_shown_as_one(tensorrt, tmp_path):
    tensorrt(*BUILD, *SMALL)
    (tmp_path / "engines" / "key").write_bytes(bytes(32))
    (row,) = tensorrt("list", "--json").document
    assert "was not written by this box" in row["fault"]
    assert "was not written by this box" in tensorrt("list").out
    outcome = tensorrt("show", "tiny")
    assert outcome.status == 8
    assert "appliance tensorrt build tiny" in outcome.err


def test_a_box_without_engines_says_how_to_build_one(tensorrt):
    assert "appliance tensorrt build" in tensorrt("list").out
    assert tensorrt("list", "--json").document == []
    outcome = tensorrt("show", "tiny")
    assert outcome.status == 3
    assert "no TensorRT plan for 'tiny'" in outcome.err


@pytest.mark.usefixtures("artefact")
def test_without_a_driver_nothing_is_begun(tensorrt, tmp_path):
    outcome = tensorrt(*BUILD)
    assert outcome.status == 5
    assert "this box has no NVIDIA driver" in outcome.err
    assert not (tmp_path / "engines").exists()


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"compute_capability": "8.6", "name": "NVIDIA A10"}, 2, "this box has NVIDIA A10 (8.6)"),
        ({"memory_bytes": 10**9}, 4, "the plan does not fit NVIDIA L4: "),
        ({"driver_version": "12.2"}, 5, "the driver supports CUDA 12.2"),
    ],
)
@pytest.mark.usefixtures("artefact")
def test_a_gpu_that_does_not_do_is_refused_before_the_build(tensorrt, l4, tmp_path, changes, status, message):
    l4(**changes)
    outcome = tensorrt(*BUILD, "--json")
    assert outcome.status == status
    assert message in outcome.err
    assert not (tmp_path / "engines").exists()


@pytest.mark.usefixtures("artefact", "l4")
def test_no_tensorrt_in_the_targets_range_is_refused(tensorrt, monkeypatch):
    import tensorrt_rtx_bindings  # noqa: PLC0415 - it takes long

    monkeypatch.setattr(tensorrt_rtx_bindings, "__version__", "2.1.0")
    outcome = tensorrt(*BUILD)
    assert outcome.status == 5
    assert "TensorRT for RTX 2.1.0 is installed, but this target needs 1.7 or newer, before 2" in outcome.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("build", "other", "--target", "cuda-sm89"), 3, "other is not exported on this box"),
        (("build", "tiny", "--target", "cuda-sm90"), 3, "tiny is not exported for cuda-sm90"),
        (("build", "tiny", "--target", "cuda-sm89", "--preset", "int4"), 3, "not exported as cuda-sm89-int4"),
        ((*BUILD, "--slots", "0"), 2, "--slots"),
        ((*BUILD, "--context", "300"), 2, "a context of 300 tokens exceeds the model's limit of 256"),
        ((*BUILD, "--context", "32", "--chunk", "64"), 2, "a chunk of 64 tokens is larger than the context of 32"),
    ],
)
@pytest.mark.usefixtures("artefact", "l4")
def test_what_cannot_be_built_is_said(tensorrt, words, status, message):
    outcome = tensorrt(*words)
    assert outcome.status == status
    assert message in outcome.err


@pytest.mark.parametrize(("target", "runtime"), [("cuda-sm89", ORT_CUDA), ("cpu", "onnxruntime-cpu")])
@pytest.mark.usefixtures("l4")
def test_an_artefact_that_tensorrt_does_not_compute_is_refused(tensorrt, artefact, tmp_path, target, runtime):
    manifest = Manifest.from_bytes((artefact / MANIFEST_NAME).read_bytes())
    folder = tmp_path / "exports" / "tiny" / f"{target}-other"
    shutil.copytree(artefact, folder)
    other = dataclasses.replace(manifest, runtime=runtime, target=target, preset="other")
    (folder / MANIFEST_NAME).write_bytes(other.to_bytes())
    outcome = tensorrt("build", "tiny", "--target", target, "--preset", "other")
    assert outcome.status == 9
    assert f"tiny as {target}-other uses {runtime}, not TensorRT" in outcome.err
