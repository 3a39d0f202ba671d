"""Building plans: what is current, what is built again and why, what an interrupted build leaves. All are real."""

from __future__ import annotations

import dataclasses
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from appliance import disk
from appliance.artefact.manifest import Manifest, ModelShape, TextGeneration
from appliance.capacity import RUNTIME_BYTES, cache_slots
from appliance.engine.parity import Parity
from appliance.errors import IntegrityError, NoSpaceError, QualityError, UnsupportedError, UsageError
from appliance.lock import locked
from appliance.tensorrt.build import BuildInputs, check_buildable, ensure_plan
from appliance.tensorrt.open_plan import open_plan, read_record
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PLAN, PlanStore
from appliance.tensorrt.usual_profile import usual_profile
from tests.refusals import refused
from tests.tensorrt.conftest import DRIVER, L4, PROFILE, TRIED, Heard, no_smoke
from tests.tensorrt.step_graph import CONTEXT_TOKENS
from tests.waiting import LIMIT_S


def names(store: PlanStore) -> list[str]:
    """All that is below the store, by path."""
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*"))


def test_the_first_plan_is_built_recorded_and_current(store: PlanStore, site: BuildInputs):
    heard = Heard()
    tried: list[bytes] = []

    def smoke(plan: Path, artefact: Path, manifest: Manifest) -> Mapping[str, float]:
        assert artefact == site.artefact
        assert store.current(manifest) is None
        tried.append(open_plan(plan, manifest, L4).content)
        return TRIED.figures

    ensured = ensure_plan(store, site, smoke, heard)
    assert ensured.was_built
    assert ensured.folder == store.current(site.manifest) == store.releases(site.manifest).folder / site.key.name
    assert store.releases(site.manifest).previous() is None
    record = read_record(ensured.folder)
    assert record == ensured.record
    assert (record.model, record.gpu, record.gpu_uuid) == ("tiny", L4.name, L4.uuid)
    assert record.smoke == TRIED.figures
    assert record.peak_bytes > record.size_bytes > 0
    assert tried == [(ensured.folder / PLAN).read_bytes()]
    assert sum(heard.percent) == 100
    assert heard.notes[0] == "building a plan for NVIDIA L4: 4 slots, context 64, chunk 16"
    variant = f"plans/tiny/cuda-sm89-tensorrt-fp16/{ensured.folder.name}"
    assert [name for name in names(store) if ensured.folder.name in name] == [
        variant,
        f"{variant}/plan",
        f"{variant}/record.json",
    ]
    assert "staging" not in names(store)


def test_a_plan_that_fits_is_not_built_again(plan: Path, store: PlanStore, site: BuildInputs):
    heard = Heard()
    before = (plan / PLAN).stat().st_ino
    ensured = ensure_plan(store, site, no_smoke, heard)
    assert not ensured.was_built
    assert heard.notes == heard.percent == []
    assert (plan / PLAN).stat().st_ino == before


def test_an_upgrade_makes_another_plan_and_keeps_the_one_before(plan: Path, store: PlanStore, site: BuildInputs):
    upgraded = dataclasses.replace(site, driver="590.10 (CUDA 13.1)")
    heard = Heard()
    ensured = ensure_plan(store, upgraded, no_smoke, heard)
    assert ensured.was_built
    assert heard.notes[0] == f"building another plan: driver 590.10 (CUDA 13.1), was {DRIVER}"
    assert store.current(site.manifest) == ensured.folder
    assert store.releases(site.manifest).previous() == plan
    # Going back needs no build.
    assert not ensure_plan(store, site, no_smoke, Heard()).was_built
    assert store.current(site.manifest) == plan
    assert store.releases(site.manifest).previous() == ensured.folder


def test_another_tensorrt_makes_another_plan(plan: Path, store: PlanStore, site: BuildInputs):
    newer = dataclasses.replace(site, tensorrt=dataclasses.replace(site.tensorrt, version="1.8.0"))
    heard = Heard()
    assert ensure_plan(store, newer, no_smoke, heard).folder != plan
    assert heard.notes[0].startswith("building another plan: TensorRT tensorrt-rtx 1.8.0, was tensorrt-rtx 1.7")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda plan: (plan / PLAN).write_bytes(b"x"), "original size"),
        (lambda plan: (plan / PLAN).unlink(), "plan is missing"),
        (lambda plan: (plan / "record.json").write_bytes(b"{}"), "is not the record of a plan"),
        (lambda plan: (plan.parents[3] / "key").write_bytes(bytes(32)), "was not written by this box"),
    ],
)
def test_a_damaged_plan_is_said_and_built_again(plan: Path, store: PlanStore, site: BuildInputs, harm, reason: str):
    harm(plan)
    heard = Heard()
    ensured = ensure_plan(store, site, no_smoke, heard)
    assert ensured.was_built
    assert heard.notes[0].startswith("building the plan again: ")
    assert reason in heard.notes[0]
    assert open_plan(ensured.folder, site.manifest, L4).record == ensured.record
    assert store.current(site.manifest) == ensured.folder
    # It was never replaced in place, and what is damaged is not kept.
    assert store.builds() == (ensured.folder,)
    assert store.releases(site.manifest).previous() is None


@pytest.mark.usefixtures("plan")
def test_a_store_from_another_box_is_built_again(store: PlanStore, site: BuildInputs):
    here = dataclasses.replace(site, gpu=dataclasses.replace(L4, uuid="GPU-here"))
    heard = Heard()
    ensured = ensure_plan(store, here, no_smoke, heard)
    assert ensured.was_built
    assert "was built on another GPU" in heard.notes[0]
    assert read_record(ensured.folder).gpu_uuid == "GPU-here"


def test_a_plan_that_does_not_answer_like_the_reference_never_becomes_current(
    plan: Path, store: PlanStore, site: BuildInputs
):
    def smoke(_plan: Path, _artefact: Path, _manifest: Manifest) -> Mapping[str, float]:
        Parity(mean_kl=3.0, worst_kl=9.0, top1_agreement=0.0, rows=52).check(0.1)
        return {}

    before = names(store)
    other = dataclasses.replace(site, profile=dataclasses.replace(site.profile, slots=2))
    with pytest.raises(QualityError):
        ensure_plan(store, other, smoke, Heard())
    assert names(store) == before
    assert store.current(site.manifest) == plan


def test_an_artefact_that_was_changed_is_refused_at_the_gate(store: PlanStore, site: BuildInputs):
    with (site.artefact / "model.onnx.data").open("r+b") as stream:
        stream.write(b"other")
    with refused(IntegrityError, "model.onnx.data", "digest"):
        ensure_plan(store, site, no_smoke, Heard())
    assert store.builds() == ()


def test_prune_removes_all_but_current_and_previous(plan: Path, store: PlanStore, site: BuildInputs):
    built = [plan]
    for slots in (1, 2, 3):
        other = dataclasses.replace(site, profile=dataclasses.replace(site.profile, slots=slots))
        built.append(ensure_plan(store, other, no_smoke, Heard()).folder)
    with store.changing(lambda: None):
        removed, freed = store.prune()
    assert set(removed) == set(built[:2])
    assert freed > 2 * 1000
    assert set(store.builds()) == set(built[2:])
    assert store.current(site.manifest) == built[3]
    assert store.releases(site.manifest).previous() == built[2]


def test_a_second_build_waits_and_then_has_nothing_to_do(store: PlanStore, site: BuildInputs):
    ensured = []
    heard = Heard()
    waits = threading.Event()
    heard.note = lambda _text: waits.set()  # type: ignore[method-assign]
    with locked(store.folder / "lock"):
        thread = threading.Thread(target=lambda: ensured.append(ensure_plan(store, site, no_smoke, heard)))
        thread.start()
        assert waits.wait(LIMIT_S)
        assert store.builds() == ()
    thread.join()
    assert ensured[0].was_built
    assert not ensure_plan(store, site, no_smoke, Heard()).was_built


KILLED_WHILE = {
    "it compiles": "site, no_smoke, Stops()",
    "the plan is tried": "site, lambda *_: stop(), Heard()",
    "it is moved to its place": "site, no_smoke, Heard()",
}


@pytest.mark.parametrize("moment", KILLED_WHILE)
def test_a_killed_build_leaves_nothing_that_is_seen_and_the_next_one_sweeps(
    plan: Path, store: PlanStore, site: BuildInputs, moment: str
):
    """A process of its own builds a second plan and is killed; then the first one still serves."""
    script = f"""
import dataclasses, os, sys
from pathlib import Path
from appliance import durable
from appliance.artefact.folder import read_manifest
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.find import Flavour, load_tensorrt
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore
from tests.tensorrt.conftest import L4, DRIVER, Heard, no_smoke

def stop(*_):
    print("now", flush=True)
    sys.stdin.read()

class Stops(Heard):
    def advance(self, percent):
        stop()

artefact, folder = map(Path, sys.argv[1:])
site = BuildInputs(artefact, read_manifest(artefact), load_tensorrt(Flavour.RTX), L4, DRIVER, Profile(2, 64, 16), 2)
if {moment == "it is moved to its place"}:
    durable.swap_link = stop
ensure_plan(PlanStore(folder), {KILLED_WHILE[moment]})
"""
    command = [sys.executable, "-c", script, str(site.artefact), str(store.folder)]
    building = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert building.stdout is not None
    assert building.stdout.readline() == b"now\n"
    building.kill()
    building.communicate()
    assert building.returncode == -signal.SIGKILL
    assert store.current(site.manifest) == plan
    assert open_plan(plan, site.manifest, L4).content
    other = dataclasses.replace(site, profile=Profile(2, 64, 16))
    ensured = ensure_plan(store, other, no_smoke, Heard())
    # What was complete but for the last step is taken as it is; anything less is built again.
    assert ensured.was_built == (moment != "it is moved to its place")
    assert store.current(site.manifest) == ensured.folder
    assert store.releases(site.manifest).previous() == plan
    assert not any("staging" in name or ".tmp-" in name for name in names(store))


def test_leftovers_of_a_crash_are_swept(plan: Path, store: PlanStore, site: BuildInputs):
    (store.folder / "staging").mkdir()
    (store.folder / "staging" / PLAN).write_bytes(b"half")
    shutil.copytree(plan, plan.parent / ".tmp-aside")
    assert store.builds() == (plan,)
    (plan.parent / ".tmp-current.1").symlink_to("x")
    ensure_plan(store, site, no_smoke, Heard())
    assert not any("staging" in name or ".tmp-" in name for name in names(store))


class TestWhatCannotBeBuilt:
    """Refused before TensorRT sees the graph."""

    def test_a_context_beyond_the_models(self, site: BuildInputs):
        longer = Profile(4, CONTEXT_TOKENS + 1, 16)
        with refused(UsageError, 257, 256):
            check_buildable(site.manifest, longer, L4, 4)

    def large(self, site: BuildInputs):
        """The manifest of a model whose weights are 1 GB and whose cache takes 100 kB a token."""
        shape = ModelShape(25, 8, 125, 96, 96, 4096, "float16")
        files = tuple(dataclasses.replace(entry, size_bytes=500_000_000) for entry in site.manifest.files)
        return dataclasses.replace(site.manifest, task=TextGeneration(shape, site.manifest.generation), files=files)

    @pytest.mark.parametrize(
        ("memory_mb", "profile", "fits"),
        [
            (3833, Profile(8, 1000, 100), "--slots 7"),
            (2300, Profile(8, 1000, 100), "--slots 1"),
            (2150, Profile(8, 1000, 100), "--slots 1 --context 281"),
            (2000, Profile(8, 1000, 100), "only weights of less than 926.3 MB fit"),
        ],
    )
    def test_a_gpu_with_too_little_memory_with_what_would_fit(
        self, site: BuildInputs, memory_mb: int, profile: Profile, fits: str
    ):
        gpu = dataclasses.replace(L4, memory_bytes=memory_mb * 10**6)
        with pytest.raises(NoSpaceError) as caught:
            check_buildable(self.large(site), profile, gpu, cache_slots(profile.slots))
        assert caught.value.message == (
            "the plan does not fit NVIDIA L4: 1.00 GB of weights + 1.76 GB of cache (16 slots of 1,100 rows) + "
            f"1.07 GB for the runtime = 3.83 GB, but {memory_mb / 1000:.2f} GB are available"
        )
        assert fits in caught.value.hint
        assert caught.value.exit_code == 4
        found = [int(number) for number in re.findall(r"--\w+ (\d+)", fits)]
        if found:
            slots, context = [*found, 1000][:2]
            check_buildable(self.large(site), Profile(slots, context, 100), gpu, cache_slots(slots))

    def test_a_machine_with_too_little_memory(
        self, store: PlanStore, site: BuildInputs, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_500_000_000))
        monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=500_000_000))
        large = dataclasses.replace(site, manifest=self.large(site))
        with refused(NoSpaceError, "4.00 GB", "4 x 1.00 GB", "2.00 GB") as hit:
            ensure_plan(store, large, no_smoke, Heard())
        assert "add swap space for the build; weights of 500.0 MB could be built now" in hit.value.hint

    def test_a_plan_that_became_too_large_for_the_gpu(self, store: PlanStore, site: BuildInputs, plan: Path):
        """A plan may be larger than the weights; the engine would refuse it."""
        assert store.current(site.manifest) == plan
        small = dataclasses.replace(L4, memory_bytes=RUNTIME_BYTES + (plan / PLAN).stat().st_size)
        other = dataclasses.replace(site, gpu=small, profile=dataclasses.replace(PROFILE, slots=2), slots=2)
        with pytest.raises(NoSpaceError, match="the plan does not fit NVIDIA L4"):
            ensure_plan(store, other, no_smoke, Heard())
        assert store.current(site.manifest) == plan
        assert store.builds() == (plan,)

    def test_memory_is_not_asked_for_a_plan_that_is_there(
        self, plan: Path, store: PlanStore, site: BuildInputs, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
        monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))
        check_buildable(site.manifest, PROFILE, L4, PROFILE.slots)
        assert ensure_plan(store, site, no_smoke, Heard()).folder == plan

    def test_a_full_disk(self, store: PlanStore, site: BuildInputs, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1000)
        with refused(NoSpaceError, "kB") as caught:
            ensure_plan(store, site, no_smoke, Heard())
        assert "appliance tensorrt prune" in caught.value.hint


class TestUsualProfile:
    """What is built when nobody says."""

    def test_the_targets_within_the_models_context(self, store: PlanStore, site: BuildInputs):
        assert usual_profile(store, site.manifest, Profile(16, 4096, 512)) == Profile(
            16, CONTEXT_TOKENS, CONTEXT_TOKENS
        )

    def test_the_current_plans_once_there_is_one(self, plan: Path, store: PlanStore, site: BuildInputs):
        assert usual_profile(store, site.manifest, Profile(16, 4096, 512)) == PROFILE
        (plan / "record.json").write_bytes(b"")
        assert usual_profile(store, site.manifest, Profile(1, 32, 16)) == Profile(1, 32, 16)

    def test_none_for_another_runtime(self, store: PlanStore, site: BuildInputs):
        for manifest, shapes in (
            (dataclasses.replace(site.manifest, runtime="onnxruntime-cuda"), PROFILE),
            (site.manifest, None),
        ):
            with refused(UnsupportedError, "cuda-sm89-tensorrt-fp16"):
                usual_profile(store, manifest, shapes)
