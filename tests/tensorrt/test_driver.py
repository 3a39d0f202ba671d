"""The driver's release, where the kernel tells it, and what is left where it does not."""

from __future__ import annotations

from pathlib import Path

from appliance.tensorrt.driver import installed_driver
from tests.tensorrt.conftest import L4


def test_the_kernel_module_tells_its_version(tmp_path: Path):
    (tmp_path / "sys/module/nvidia").mkdir(parents=True)
    (tmp_path / "sys/module/nvidia/version").write_text("580.95.05\n")
    assert installed_driver(L4, tmp_path) == "580.95.05 (CUDA 13.0)"


def test_a_jetson_tells_its_release(tmp_path: Path):
    (tmp_path / "etc").mkdir()
    line = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8\n"
    (tmp_path / "etc/nv_tegra_release").write_text(line)
    assert installed_driver(L4, tmp_path) == "R36 (release), REVISION: 4.3 (CUDA 13.0)"


def test_without_either_it_is_the_cuda_that_the_driver_serves(tmp_path: Path):
    assert installed_driver(L4, tmp_path) == "CUDA 13.0"
