"""A new plan is tried on the artefact's own texts before it gets its place. The GPU's part is done in main memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import Manifest
from appliance.engine import plan_smoke
from appliance.engine.parity import PARITY, from_bytes
from appliance.engine.trt_runner import TrtRunner
from appliance.errors import IntegrityError, QualityError
from appliance.inference.config import EngineConfig
from appliance.layout import Layout
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.find import Flavour, load_tensorrt
from appliance.tensorrt.open_plan import open_plan, read_record
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore
from export.pipeline import export_as
from export.presets import PRESETS
from tests.checkpoints import make_tiny_checkpoint
from tests.engine.device_on_host import open_executor, plan, tiny_graph
from tests.engine.host_logits import HostLogits
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused
from tests.tensorrt.conftest import DRIVER, L4, Heard, no_smoke

ROWS = 13


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smoke")
    layout = Layout(root=folder / "root", cache=folder / "cache")
    install_checkpoint(layout, "tiny", files_in(make_tiny_checkpoint(folder / "checkpoint", "qwen3")))
    preset = dataclasses.replace(PRESETS["tensorrt-bf16"], max_mean_kl=0.01)
    return export_as(layout, "tiny", "cuda-sm89", preset, Steps()).folder


@pytest.fixture
def site(artefact: Path) -> BuildInputs:
    profile = Profile(slots=3, context_tokens=168, chunk_tokens=64)
    return BuildInputs(
        artefact, read_manifest(artefact), load_tensorrt(Flavour.RTX), L4, DRIVER, profile, profile.slots
    )


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    return PlanStore(tmp_path / "engines")


class Broken:
    """A runner that decodes nonsense."""

    def __init__(self, runner: TrtRunner) -> None:
        self.prefill = runner.prefill
        self._runner = runner

    def decode(self, tokens: list[int], lengths: list[int]) -> HostLogits:
        rows = self._runner.decode(tokens, lengths).rows(range(len(tokens)))
        return HostLogits(-50 * rows.copy())


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Let the engine open a runner in main memory where the plan is; how many slots it had each time."""
    graph, _ = tiny_graph(tmp_path, "qwen3")
    opened: list[int] = []

    def open_runner(_: Path, manifest: Manifest, *, slots: int, capacity: int, config: EngineConfig) -> TrtRunner:
        assert open_plan(Path(str(config.plan)), manifest, L4).content
        opened.append(slots)
        shape = dataclasses.replace(manifest.shape, cache_dtype="float32")
        executor = open_executor(plan(graph, capacity=256), shape, slots)
        return TrtRunner(executor, shape, slots=slots, running=slots, capacity=capacity)

    monkeypatch.setattr(plan_smoke, "open_runner", open_runner)
    return opened


def test_its_figures_join_the_record(store: PlanStore, site: BuildInputs, opened: list[int]):
    ensured = ensure_plan(store, site, plan_smoke.smoke, Heard())
    assert read_record(ensured.folder) == ensured.record
    figures = ensured.record.smoke
    assert figures["mean_kl"] < 1e-4
    assert figures["top1_agreement"] > 0.95
    # Four texts on three slots.
    assert (figures["rows"], opened) == (4 * ROWS, [3])


@pytest.mark.parametrize(("context", "rows"), [(100, 3 * ROWS), (17, ROWS), (16, ROWS - 1)])
def test_a_plan_for_short_contexts_is_tried_on_what_fits(
    store: PlanStore, site: BuildInputs, opened: list[int], context: int, rows: int
):
    short = dataclasses.replace(site, profile=Profile(slots=4, context_tokens=context, chunk_tokens=16))
    ensured = ensure_plan(store, short, plan_smoke.smoke, Heard())
    assert ensured.record.smoke["rows"] == rows
    assert len(opened) == 1


def test_a_plan_that_decodes_nonsense_never_becomes_current(
    store: PlanStore, site: BuildInputs, opened: list[int], monkeypatch: pytest.MonkeyPatch
):
    open_runner = plan_smoke.open_runner
    monkeypatch.setattr(plan_smoke, "open_runner", lambda *words, **named: Broken(open_runner(*words, **named)))
    with refused(QualityError, "KL"):
        ensure_plan(store, site, plan_smoke.smoke, Heard())
    assert store.current(site.manifest) is None
    assert opened == [3]


def test_an_artefact_without_texts_is_refused(store: PlanStore, site: BuildInputs, artefact: Path):
    folder = ensure_plan(store, site, no_smoke, Heard()).folder
    bare = tuple(file for file in site.manifest.files if file.name != PARITY)
    with pytest.raises(IntegrityError, match=r"parity\.json"):
        plan_smoke.smoke(folder, artefact, dataclasses.replace(site.manifest, files=bare))


def test_a_text_is_cut_to_its_beginning(artefact: Path):
    case = from_bytes((artefact / PARITY).read_bytes())[1]
    cut = case.cut(40)
    assert cut.tokens == case.tokens[:40]
    assert (len(cut.likeliest), len(cut.log_probabilities)) == (9, 9)
    assert np.array_equal(cut.likeliest, case.likeliest[:9])
