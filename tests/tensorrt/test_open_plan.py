"""A plan is opened by the box that built it, for what it was built from and on; anything else is refused, each by name.

Every plan here is a real one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.derived.store import RECORD
from appliance.errors import IntegrityError, MissingProgramError, UnknownModelError, UnsupportedError
from appliance.tensorrt.build import BuildInputs, ensure_plan
from appliance.tensorrt.open_plan import open_plan, read_record
from appliance.tensorrt.plan_store import PLAN, PlanStore
from tests.refusals import refused
from tests.tensorrt.conftest import L4, Heard, no_smoke
from tests.tensorrt.step_graph import make_plan_artefact


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def edit(plan: Path, **fields: object) -> None:
    """Change fields of a record as somebody without the box's key would."""
    damage(plan / RECORD, lambda content: json.dumps({**json.loads(content), **fields}).encode())


def test_the_bytes_that_were_built_are_returned(plan: Path, site: BuildInputs):
    opened = open_plan(plan, site.manifest, L4)
    assert opened.content == (plan / PLAN).read_bytes()
    assert opened.tensorrt == site.tensorrt
    assert opened.record.key == site.key


def test_a_missing_plan_is_refused(store: PlanStore, site: BuildInputs):
    with refused(UnknownModelError, "no plan") as caught:
        open_plan(store.releases(site.manifest).folder / site.key.name, site.manifest, L4)
    assert "appliance tensorrt build" in caught.value.hint


def test_a_plan_without_its_bytes_is_refused(plan: Path, site: BuildInputs):
    (plan / PLAN).unlink()
    with refused(IntegrityError, "missing"):
        open_plan(plan, site.manifest, L4)


@pytest.mark.parametrize(
    "change", [lambda content: content[:-1], lambda content: content + b"\0", lambda _content: b""]
)
def test_a_truncated_or_longer_plan_is_refused(plan: Path, site: BuildInputs, change: Callable[[bytes], bytes]):
    damage(plan / PLAN, change)
    with refused(IntegrityError, "bytes") as caught:
        open_plan(plan, site.manifest, L4)
    assert caught.value.hint.endswith("appliance tensorrt build tiny --target cuda-sm89 --preset tensorrt-fp16")


def test_a_plan_with_a_changed_bit_is_refused(plan: Path, site: BuildInputs):
    damage(plan / PLAN, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with refused(IntegrityError, "this box built"):
        open_plan(plan, site.manifest, L4)


def test_a_plan_in_place_of_another_is_refused(plan: Path, store: PlanStore, site: BuildInputs):
    other = dataclasses.replace(site, profile=dataclasses.replace(site.profile, slots=2))
    second = ensure_plan(store, other, no_smoke, Heard()).folder
    # The sizes are compared first.
    cause = "this box built" if (second / PLAN).stat().st_size == (plan / PLAN).stat().st_size else "bytes"
    shutil.copyfile(second / PLAN, plan / PLAN)
    with refused(IntegrityError, cause):
        open_plan(plan, site.manifest, L4)
    # With its record, too.
    shutil.copyfile(second / RECORD, plan / RECORD)
    with refused(IntegrityError, second.name):
        open_plan(plan, site.manifest, L4)


def test_a_link_is_refused(plan: Path, site: BuildInputs, tmp_path: Path):
    (plan / PLAN).rename(tmp_path / "elsewhere")
    (plan / PLAN).symlink_to(tmp_path / "elsewhere")
    with refused(IntegrityError, "opened"):
        open_plan(plan, site.manifest, L4)


def test_a_plan_of_another_graph_is_refused(plan: Path, tmp_path: Path):
    other = make_plan_artefact(tmp_path / "other", seed=1)
    with refused(UnsupportedError, "the artefact's graph"):
        open_plan(plan, other, L4)


def test_a_gpu_of_another_compute_capability_is_refused(plan: Path, site: BuildInputs):
    gpu = dataclasses.replace(L4, name="NVIDIA A30", compute_capability="8.0", uuid="GPU-other")
    with refused(UnsupportedError, "8.9", "NVIDIA A30", "8.0"):
        open_plan(plan, site.manifest, gpu)


def test_another_gpu_of_the_same_kind_is_another_box(plan: Path, site: BuildInputs):
    with refused(IntegrityError, "GPU-5f1c", "NVIDIA L4", "GPU-other"):
        open_plan(plan, site.manifest, dataclasses.replace(L4, uuid="GPU-other"))


def test_another_driver_is_refused(plan: Path, site: BuildInputs):
    with refused(UnsupportedError, "driver", "13.0", "13.1"):
        open_plan(plan, site.manifest, dataclasses.replace(L4, driver_version="13.1"))


def test_another_version_of_tensorrt_is_refused(plan: Path, site: BuildInputs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(site.tensorrt.module, "__version__", "1.8.0.1")
    with refused(UnsupportedError, "TensorRT for RTX 1.7", "TensorRT for RTX 1.8.0.1"):
        open_plan(plan, site.manifest, L4)


def test_tensorrt_that_is_gone_is_said(plan: Path, site: BuildInputs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx_bindings", None)
    with refused(MissingProgramError, "TensorRT for RTX"):
        open_plan(plan, site.manifest, L4)


def test_a_plan_that_another_box_built_is_refused(plan: Path, site: BuildInputs, store: PlanStore, tmp_path: Path):
    """The other box has the same GPU as far as its record can say; its secret is its own."""
    other = PlanStore(tmp_path / "other")
    ensure_plan(other, dataclasses.replace(site, profile=dataclasses.replace(site.profile, slots=2)), no_smoke, Heard())
    copied = other.releases(site.manifest).folder / plan.name
    shutil.copytree(plan, copied)
    assert other.box_key.read_bytes() != store.box_key.read_bytes()
    with refused(IntegrityError, "not written by this box"):
        open_plan(copied, site.manifest, L4)


def test_a_box_that_never_built_refuses_whatever_it_is_given(plan: Path, site: BuildInputs, store: PlanStore):
    store.box_key.unlink()
    with refused(IntegrityError, "no plan"):
        open_plan(plan, site.manifest, L4)


def test_a_secret_that_others_may_read_is_refused(plan: Path, site: BuildInputs, store: PlanStore):
    assert store.box_key.stat().st_mode & 0o777 == 0o600
    store.box_key.chmod(0o640)
    with refused(IntegrityError, "640"):
        open_plan(plan, site.manifest, L4)


def test_a_secret_of_the_wrong_length_is_refused(plan: Path, site: BuildInputs, store: PlanStore):
    store.box_key.write_bytes(b"short")
    with refused(IntegrityError, "32 bytes"):
        open_plan(plan, site.manifest, L4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sha256", "0" * 64), ("gpu_uuid", "GPU-other"), ("size_bytes", 1), ("model", "other"), ("new", 1), ("format", 2)],
)
def test_an_edited_record_is_refused(plan: Path, site: BuildInputs, field: str, value: object):
    edit(plan, **{field: value})
    with refused(IntegrityError, "not written by this box"):
        open_plan(plan, site.manifest, L4)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"signature": 1}', b"\xff"])
def test_a_damaged_record_is_refused(plan: Path, site: BuildInputs, content: bytes):
    (plan / RECORD).write_bytes(content)
    with refused(IntegrityError, "record.json", "record of a plan"):
        open_plan(plan, site.manifest, L4)


def test_a_record_that_never_ends_is_not_read_to_its_end(plan: Path):
    with (plan / RECORD).open("r+b") as stream:
        os.ftruncate(stream.fileno(), 1 << 40)
    with refused(IntegrityError, "record"):
        read_record(plan)
