"""Whatever a plan depends on changes its name."""

from __future__ import annotations

import dataclasses

import pytest

from appliance.errors import UsageError
from appliance.tensorrt.build import BuildInputs
from appliance.tensorrt.plan_key import PlanKey, Profile
from tests.tensorrt.conftest import PROFILE

KEY = PlanKey(
    graph={"model.onnx": "0" * 64, "model.onnx.data": "1" * 64},
    flavour="tensorrt",
    version="10.15.1",
    compute_capability="8.7",
    driver="540.4.0",
    profile=PROFILE,
    flags=("strongly-typed",),
)
OTHERS = [
    dataclasses.replace(KEY, graph={**KEY.graph, "model.onnx": "2" * 64}),
    dataclasses.replace(KEY, graph={**KEY.graph, "model.onnx.data": "2" * 64}),
    dataclasses.replace(KEY, graph={"model.onnx": "0" * 64}),
    dataclasses.replace(KEY, flavour="tensorrt-rtx"),
    dataclasses.replace(KEY, version="10.15.2"),
    dataclasses.replace(KEY, compute_capability="8.6"),
    dataclasses.replace(KEY, driver="540.4.1"),
    dataclasses.replace(KEY, profile=dataclasses.replace(PROFILE, slots=5)),
    dataclasses.replace(KEY, profile=dataclasses.replace(PROFILE, context_tokens=65)),
    dataclasses.replace(KEY, profile=dataclasses.replace(PROFILE, chunk_tokens=15)),
    dataclasses.replace(KEY, flags=()),
]


def test_every_part_changes_the_name():
    assert len({key.name for key in (KEY, *OTHERS)}) == len(OTHERS) + 1
    assert all(key.changes_from(KEY) for key in OTHERS)


def test_the_order_of_files_does_not():
    assert dataclasses.replace(KEY, graph=dict(reversed(KEY.graph.items()))).name == KEY.name


@pytest.mark.parametrize("key", [KEY, *OTHERS])
def test_fields_give_the_key_back(key: PlanKey):
    assert PlanKey.from_fields(key.to_fields()) == key


def test_what_changed_is_said():
    changed = dataclasses.replace(KEY, driver="580.95", profile=dataclasses.replace(PROFILE, slots=8))
    assert changed.changes_from(KEY) == (
        "driver 580.95, was 540.4.0; profile 8 slots, context 64, chunk 16, was 4 slots, context 64, chunk 16"
    )
    assert KEY.changes_from(KEY) == ""


def test_the_graphs_two_files_are_in_the_key_and_nothing_else_of_the_artefact(site: BuildInputs):
    assert set(site.key.graph) == {"model.onnx", "model.onnx.data"}
    other = dataclasses.replace(site.manifest, quality={"mean_kl": 0.1})
    assert dataclasses.replace(site, manifest=other).key == site.key


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0, 64, 16), "a plan's slots must be at least 1, not 0"),
        ((4, 0, 16), "context_tokens must be at least 1"),
        ((4, 64, -1), "chunk_tokens must be at least 1"),
        ((4, 64, 65), "a chunk of 65 tokens is larger than the context of 64"),
    ],
)
def test_impossible_profiles_are_refused(fields: tuple[int, int, int], message: str):
    with pytest.raises(UsageError, match=message):
        Profile(*fields)
