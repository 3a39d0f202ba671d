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

from appliance.errors import IntegrityError, MissingProgramError, UnknownModelError, UnsupportedError
from appliance.tensorrt.build import Site, ensure_plan
from appliance.tensorrt.open_plan import open_plan, read_record
from appliance.tensorrt.plan_store import PLAN, RECORD, PlanStore
from tests.tensorrt.conftest import L4, Heard, no_smoke
from tests.tensorrt.step_graph import make_plan_artefact


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def edit(plan: Path, **fields: object) -> None:
    """Change fields of a record as somebody without the box's key would."""
    damage(plan / RECORD, lambda content: json.dumps({**json.loads(content), **fields}).encode())


def test_the_bytes_that_were_built_are_returned(plan: Path, site: Site):
    opened = open_plan(plan, site.manifest, L4)
    assert opened.content == (plan / PLAN).read_bytes()
    assert opened.tensorrt == site.tensorrt
    assert opened.record.key == site.key


def test_a_missing_plan_is_refused(store: PlanStore, site: Site):
    with pytest.raises(UnknownModelError, match="contains no plan") as caught:
        open_plan(store.plan(site.manifest, site.key.name), site.manifest, L4)
    assert "appliance engine build" in caught.value.hint


def test_a_plan_without_its_bytes_is_refused(plan: Path, site: Site):
    (plan / PLAN).unlink()
    with pytest.raises(IntegrityError, match="plan is missing"):
        open_plan(plan, site.manifest, L4)


@pytest.mark.parametrize(
    "change", [lambda content: content[:-1], lambda content: content + b"\0", lambda _content: b""]
)
def test_a_truncated_or_longer_plan_is_refused(plan: Path, site: Site, change: Callable[[bytes], bytes]):
    damage(plan / PLAN, change)
    with pytest.raises(IntegrityError, match=r"does not have its original size") as caught:
        open_plan(plan, site.manifest, L4)
    assert caught.value.hint.endswith("appliance engine build tiny --target cuda-sm89 --preset tensorrt-fp16")


def test_a_plan_with_a_changed_bit_is_refused(plan: Path, site: Site):
    damage(plan / PLAN, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="is not the plan that this box built"):
        open_plan(plan, site.manifest, L4)


def test_a_plan_in_place_of_another_is_refused(plan: Path, store: PlanStore, site: Site):
    other = dataclasses.replace(site, profile=dataclasses.replace(site.profile, slots=2))
    second = ensure_plan(store, other, no_smoke, Heard()).folder
    shutil.copyfile(second / PLAN, plan / PLAN)
    with pytest.raises(IntegrityError, match=r"does not have its|is not the plan"):
        open_plan(plan, site.manifest, L4)
    # With its record, too.
    shutil.copyfile(second / RECORD, plan / RECORD)
    with pytest.raises(IntegrityError, match=f"contains the plan of {second.name}"):
        open_plan(plan, site.manifest, L4)


def test_a_link_is_refused(plan: Path, site: Site, tmp_path: Path):
    (plan / PLAN).rename(tmp_path / "elsewhere")
    (plan / PLAN).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="cannot be opened as a regular file"):
        open_plan(plan, site.manifest, L4)


def test_a_plan_of_another_graph_is_refused(plan: Path, tmp_path: Path):
    other = make_plan_artefact(tmp_path / "other", seed=1)
    with pytest.raises(UnsupportedError, match="was not built from the artefact's graph"):
        open_plan(plan, other, L4)


def test_a_gpu_of_another_compute_capability_is_refused(plan: Path, site: Site):
    gpu = dataclasses.replace(L4, name="NVIDIA A30", compute_capability="8.0", uuid="GPU-other")
    with pytest.raises(UnsupportedError, match=r"is for compute capability 8\.9, but NVIDIA A30 has 8\.0"):
        open_plan(plan, site.manifest, gpu)


def test_another_gpu_of_the_same_kind_is_another_box(plan: Path, site: Site):
    with pytest.raises(
        IntegrityError, match=r"was built on another GPU, .* GPU-5f1c.*; this one is NVIDIA L4 GPU-other"
    ):
        open_plan(plan, site.manifest, dataclasses.replace(L4, uuid="GPU-other"))


def test_another_driver_is_refused(plan: Path, site: Site):
    with pytest.raises(UnsupportedError, match=r"was built with driver .*13\.0.*, but this box has .*13\.1"):
        open_plan(plan, site.manifest, dataclasses.replace(L4, driver_version="13.1"))


def test_another_version_of_tensorrt_is_refused(plan: Path, site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(site.tensorrt.module, "__version__", "1.8.0.1")
    with pytest.raises(
        UnsupportedError, match=r"was built with TensorRT for RTX 1\.7.*, but this box has TensorRT for RTX 1\.8\.0\.1"
    ):
        open_plan(plan, site.manifest, L4)


def test_tensorrt_that_is_gone_is_said(plan: Path, site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx_bindings", None)
    with pytest.raises(MissingProgramError, match="TensorRT for RTX is not installed"):
        open_plan(plan, site.manifest, L4)


def test_a_plan_that_another_box_built_is_refused(plan: Path, site: Site, store: PlanStore, tmp_path: Path):
    """The other box has the same GPU as far as its record can say; its secret is its own."""
    other = PlanStore(tmp_path / "other")
    ensure_plan(other, dataclasses.replace(site, profile=dataclasses.replace(site.profile, slots=2)), no_smoke, Heard())
    copied = other.variant(site.manifest) / plan.name
    shutil.copytree(plan, copied)
    assert other.box_key.read_bytes() != store.box_key.read_bytes()
    with pytest.raises(IntegrityError, match="was not written by this box, so its plan is not loaded"):
        open_plan(copied, site.manifest, L4)


def test_a_box_that_never_built_refuses_whatever_it_is_given(plan: Path, site: Site, store: PlanStore):
    store.box_key.unlink()
    with pytest.raises(IntegrityError, match="no plan was built on this box"):
        open_plan(plan, site.manifest, L4)


def test_a_secret_that_others_may_read_is_refused(plan: Path, site: Site, store: PlanStore):
    assert store.box_key.stat().st_mode & 0o777 == 0o600
    store.box_key.chmod(0o640)
    with pytest.raises(IntegrityError, match="has mode 640: other users may have read it"):
        open_plan(plan, site.manifest, L4)


def test_a_secret_of_the_wrong_length_is_refused(plan: Path, site: Site, store: PlanStore):
    store.box_key.write_bytes(b"short")
    with pytest.raises(IntegrityError, match="is not a key of 32 bytes"):
        open_plan(plan, site.manifest, L4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sha256", "0" * 64), ("gpu_uuid", "GPU-other"), ("size_bytes", 1), ("model", "other"), ("new", 1), ("format", 2)],
)
def test_an_edited_record_is_refused(plan: Path, site: Site, field: str, value: object):
    edit(plan, **{field: value})
    with pytest.raises(IntegrityError, match="was not written by this box"):
        open_plan(plan, site.manifest, L4)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"signature": 1}', b"\xff"])
def test_a_damaged_record_is_refused(plan: Path, site: Site, content: bytes):
    (plan / RECORD).write_bytes(content)
    with pytest.raises(IntegrityError, match=r"record\.json is not the record of a plan"):
        open_plan(plan, site.manifest, L4)


def test_a_record_that_never_ends_is_not_read_to_its_end(plan: Path):
    with (plan / RECORD).open("r+b") as stream:
        os.ftruncate(stream.fileno(), 1 << 40)
    with pytest.raises(IntegrityError, match="is not the record"):
        read_record(plan)
