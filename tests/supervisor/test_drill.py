"""`appliance drill fallback` on a real box: a route of two models, whose first model fails in several ways."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.rim import run
from appliance.errors import UnknownModelError, UsageError
from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.tiny_artefact import make_tiny_artefact

pytestmark = pytest.mark.triton
ROUTE, FIRST, SECOND = "assistant", "first", "second"
CONFIGURATION = f"""\
[serve]
slots = 4
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "{FIRST}"
[[serve.model]]
name = "{SECOND}"
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredBox]:
    with routed(tmp_path_factory.mktemp("box")) as running:
        yield running


@contextlib.contextmanager
def routed(root: Path) -> Iterator[ConfiguredBox]:
    """A box with a route of two models."""
    for name in (FIRST, SECOND):
        make_tiny_artefact(root / "exports" / name / "cpu-balanced", root / f"scratch-{name}", name)
    with ConfiguredBox(root, CONFIGURATION) as running:
        assert run(["--root", str(root), "route", "set", ROUTE, FIRST, SECOND]) == 0
        yield running


def call(box: ConfiguredBox, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = run(["--root", str(box.root), *words, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out or said.err)


def test_a_route_shows_which_model_answers_and_why(box: ConfiguredBox, capsys: pytest.CaptureFixture[str]):
    assert call(box, capsys, "route", "list") == (
        0,
        [{"name": ROUTE, "models": [FIRST, SECOND], "answering": FIRST}],
    )
    assert call(box, capsys, "policy", "refuse", "--model", FIRST)[0] == 0
    code, shown = call(box, capsys, "route", "show", ROUTE)
    assert (code, shown["answering"]) == (0, SECOND)
    assert [bool(one["left_out_because"]) for one in shown["models"]] == [True, False]
    assert shown["models"][1]["abilities"]["context_tokens"] > 0
    assert call(box, capsys, "policy", "accept", "--model", FIRST) == (
        0,
        {"models": [], "makers": [], "licences": []},
    )
    assert call(box, capsys, "route", "list")[1][0]["answering"] == FIRST


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("route", "set", ROUTE, FIRST, "unknown"), UnknownModelError),
        (("route", "set", FIRST, SECOND), UsageError),
        (("route", "set", "outer", ROUTE), UnknownModelError),
        (("route", "show", "unknown"), UnknownModelError),
        (("route", "remove", "unknown"), UnknownModelError),
        (("policy", "refuse"), UsageError),
        (("drill", "fallback", "unknown", "--yes"), UnknownModelError),
        (("drill", "fallback", ROUTE), UsageError),
    ],
)
def test_wrong_orders_are_refused(
    box: ConfiguredBox, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], kind: type[UsageError]
):
    assert call(box, capsys, *words)[0] == kind.exit_code
    assert call(box, capsys, "route", "list")[1] == [{"name": ROUTE, "models": [FIRST, SECOND], "answering": FIRST}]


def test_a_route_of_one_model_cannot_be_rehearsed(box: ConfiguredBox, capsys: pytest.CaptureFixture[str]):
    assert call(box, capsys, "route", "set", "alone", FIRST)[0] == 0
    assert call(box, capsys, "drill", "fallback", "alone", "--yes")[0] == UsageError.exit_code
    assert call(box, capsys, "route", "remove", "alone") == (0, {"removed": "alone"})


def test_the_drill_of_a_policy_loses_no_request_and_leaves_the_policy_as_it_was(
    box: ConfiguredBox, capsys: pytest.CaptureFixture[str]
):
    code, record = call(box, capsys, "drill", "fallback", ROUTE, "--trigger", "policy", "--yes")
    assert code == 0
    (seen,) = record["triggers"]
    assert (seen["preferred"], seen["answered_by"], seen["has_passed"]) == (FIRST, SECOND, True)
    assert (seen["lost"], seen["errors"]) == (0, [])
    assert seen["requests"] > 0
    (kept,) = (box.root / "drills").iterdir()
    assert json.loads(kept.read_text()) == record
    assert not any(call(box, capsys, "policy", "show")[1].values())


@pytest.mark.proof
def test_the_route_falls_back_and_returns_for_every_trigger(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with routed(tmp_path) as box:
        capsys.readouterr()
        code, record = call(box, capsys, "drill", "fallback", ROUTE, "--yes")
    assert code == 0, record
    seen = {one["trigger"]: one for one in record["triggers"]}
    assert seen.keys() == {"crash", "hang", "integrity", "load", "operator", "policy"}
    # Triton can abort when a process of a model hangs; the box then starts it again with both models.
    assert {one["answered_by"] for name, one in seen.items() if name != "hang"} == {SECOND}
    assert all(one["continued"] for name, one in seen.items() if name != "hang")
    # An order lets running requests finish. Only what was running on a dead or hanging model is lost.
    assert {name for name, one in seen.items() if one["lost"]} <= {"crash", "hang"}
