"""What needs an NVIDIA GPU. `make gpu-test` runs it where there is one; elsewhere it is not collected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import ORT_CPU, TENSORRT
from appliance.engine.exactness import LARGEST_TILE
from appliance.engine.runners import open_runner
from appliance.errors import ApplianceError, MissingProgramError
from appliance.gpu import Gpu, find_gpu
from appliance.inference.config import EngineConfig
from appliance.layout import Layout
from appliance.targets import Target, fitting
from appliance.tensorrt.find import Flavour, find_tensorrt
from appliance.tensorrt.plan_store import PlanStore
from export.pipeline import export_model
from export.presets import PRESETS
from tests.checkpoints import make_tiny_checkpoint
from tests.engine.tiny_graphs import CAPACITY
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint

_REQUIRED = os.environ.get("APPLIANCE_TEST_GPU") == "required"
collect_ignore_glob = [] if _REQUIRED else ["test_*.py"]
MODEL = "tiny"
SLOTS = 5
ON_GPU = [name for name, preset in PRESETS.items() if preset.runtime != ORT_CPU]


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    try:
        return find_gpu()
    except ApplianceError as error:
        pytest.fail(f"these tests need a GPU: {error}", pytrace=False)


@pytest.fixture(scope="session")
def target(gpu: Gpu) -> Target:
    """The target that this GPU is."""
    for each in fitting(gpu.compute_capability, is_jetson=gpu.integrated):
        return each
    pytest.skip(f"no target has the compute capability {gpu.compute_capability} of {gpu.name}")


@pytest.fixture(scope="module", params=ON_GPU)
def artefact(request: pytest.FixtureRequest, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model exported for this GPU, and, where TensorRT computes it, its engine built as a person builds it."""
    if request.param not in target.presets:
        pytest.skip(f"{target.name} has no preset {request.param}")
    if PRESETS[request.param].runtime == TENSORRT:
        try:
            find_tensorrt({Flavour.TENSORRT: target.tensorrt, Flavour.RTX: target.tensorrt_rtx})
        except MissingProgramError as error:
            pytest.skip(f"{target.name} with {request.param}: {error}")
    root = tmp_path_factory.mktemp(request.param)
    layout = Layout(root=root / "root", cache=root / "cache")
    install_checkpoint(layout, MODEL, files_in(make_tiny_checkpoint(root / "checkpoint", "qwen3")))
    exported = export_model(layout, MODEL, target.name, request.param, Steps())
    if exported.manifest.runtime == TENSORRT:
        words = ["--root", str(layout.root), "tensorrt", "build", MODEL, "--target", target.name]
        words += ["--preset", request.param, "--slots", str(SLOTS), "--context", str(CAPACITY), "--chunk", "128"]
        built = subprocess.run(
            [sys.executable, "-m", "appliance.cli", *words], capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr
    return exported.folder


@pytest.fixture(scope="module")
def config(artefact: Path) -> EngineConfig:
    """Of an engine on the artefact."""
    manifest = read_manifest(artefact)
    root = artefact.parents[3]
    store = PlanStore(Layout(root=root, cache=root).engines)
    plan = store.current(manifest) if manifest.runtime == TENSORRT else None
    cache_bytes = 2 * (SLOTS + LARGEST_TILE) * CAPACITY * manifest.shape.cache_bytes_per_token
    return EngineConfig(
        slots=SLOTS, max_context_tokens=CAPACITY, cache_bytes=cache_bytes, plan=str(plan) if plan else None
    )


@pytest.fixture
def runner(artefact: Path, config: EngineConfig):
    return open_runner(artefact, read_manifest(artefact), slots=SLOTS, capacity=CAPACITY, config=config)
