"""An artefact for a GPU that this box does not have is refused before anything starts, with what to do."""

from dataclasses import replace

import pytest

from appliance.artefact.manifest import MANIFEST_NAME, ORT_CPU, ORT_CUDA, TENSORRT
from appliance.cli import up
from appliance.errors import MissingProgramError, UsageError
from appliance.gpu import Gpu
from appliance.layout import Layout
from appliance.supervisor import hardware
from appliance.supervisor.hardware import check_hardware
from tests.cli.outcome import caller
from tests.supervisor.test_choose import MANIFEST

H100 = Gpu("NVIDIA H100", "9.0", 80 << 30, "13.0", "GPU-0", integrated=False)
L4 = replace(H100, name="NVIDIA L4", compute_capability="8.9")
ORIN = Gpu("Orin", "8.7", 8 << 30, "12.6", "GPU-1", integrated=True)
OLD = replace(H100, name="Tesla P100", compute_capability="6.0")


def make_manifest(target, runtime=ORT_CPU):
    return replace(MANIFEST, model="tiny", target=target, preset="bf16", runtime=runtime)


@pytest.fixture
def box_with(monkeypatch):
    return lambda gpu: monkeypatch.setattr(hardware, "find_gpu", lambda: gpu)


def test_an_artefact_for_the_cpu_asks_for_no_gpu(monkeypatch):
    monkeypatch.setattr(hardware, "find_gpu", None)
    assert check_hardware(make_manifest("cpu")) is None


@pytest.mark.parametrize("runtime", [ORT_CUDA, TENSORRT])
def test_the_gpu_it_was_exported_for_is_returned(box_with, runtime):
    box_with(H100)
    assert check_hardware(make_manifest("cuda-sm90", runtime)) == H100


def test_another_gpu_is_refused_with_both_names_and_the_export_to_run(box_with):
    box_with(L4)
    with pytest.raises(UsageError) as caught:
        check_hardware(make_manifest("cuda-sm90", ORT_CUDA))
    assert caught.value.message == (
        "tiny was exported for cuda-sm90 (compute capability 9.0); this box has NVIDIA L4 (8.9)"
    )
    assert caught.value.hint == "appliance export tiny --target cuda-sm89"


def test_on_jetson_the_modules_of_its_kind_are_named(box_with):
    box_with(ORIN)
    with pytest.raises(UsageError) as caught:
        check_hardware(make_manifest("cuda-sm90", ORT_CUDA))
    assert caught.value.hint == (
        "appliance export tiny --target jetson-orin-agx-64g or appliance export tiny --target jetson-orin-nano-8g"
    )


def test_a_gpu_that_no_target_is_for_leaves_the_cpu(box_with):
    box_with(OLD)
    with pytest.raises(UsageError, match=r"no target for this GPU.*--target cpu"):
        check_hardware(make_manifest("cuda-sm90", ORT_CUDA))


def test_a_driver_that_does_not_serve_the_target_s_cuda_is_refused(box_with):
    box_with(replace(H100, driver_version="12.4"))
    with pytest.raises(MissingProgramError, match=r"the driver serves CUDA 12\.4, cuda-sm90 needs 13\.0 or newer"):
        check_hardware(make_manifest("cuda-sm90", ORT_CUDA))


def test_a_jetson_gets_its_driver_with_jetpack(box_with):
    box_with(ORIN)
    with pytest.raises(MissingProgramError) as caught:
        check_hardware(make_manifest("jetson-orin-nano-8g", TENSORRT))
    assert caught.value.hint == "install JetPack 7.2 or newer, before 8"


def test_a_newer_driver_serves_an_older_cuda(box_with):
    box_with(replace(H100, driver_version="15.1"))
    assert check_hardware(make_manifest("cuda-sm90", ORT_CUDA)).driver_version == "15.1"


def test_up_refuses_before_it_looks_for_triton(box_with, monkeypatch, tmp_path, capsys):
    box_with(L4)
    monkeypatch.setattr(up, "locate", None)
    layout = Layout(root=tmp_path, cache=tmp_path / "cache")
    folder = layout.artefact("tiny", "cuda-sm90", "bf16")
    folder.mkdir(parents=True)
    (folder / MANIFEST_NAME).write_bytes(make_manifest("cuda-sm90", ORT_CUDA).to_bytes())
    layout.config_file.write_text('[serve]\ntarget = "cuda-sm90"\n', encoding="utf-8")
    outcome = caller(tmp_path, "up", capsys)("tiny")
    assert outcome.status == 2
    assert "this box has NVIDIA L4 (8.9)" in outcome.err
    assert "appliance export tiny --target cuda-sm89" in outcome.err
