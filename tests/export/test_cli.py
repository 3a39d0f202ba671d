"""`appliance export`: what it prints, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli.root import command as root
from appliance.errors import UnknownModelError
from appliance.layout import Layout
from export.presets import PRESETS
from tests.checkpoints import make_tiny_checkpoint
from tests.installed import files_in, install_checkpoint


# The command is only ever reached through the root, as by users: click keeps a command's help option as its first
# caller configured it.
@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> CliRunner:
    folder = tmp_path_factory.mktemp("box")
    layout = Layout(root=folder / "root", cache=folder / "cache")
    install_checkpoint(layout, "tiny", files_in(make_tiny_checkpoint(folder / "checkpoint")))
    return CliRunner(env={"APPLIANCE_ROOT": str(layout.root), "APPLIANCE_CACHE": str(layout.cache)})


def test_the_help_lists_every_preset(box: CliRunner) -> None:
    shown = box.invoke(root, ["export", "--help"]).output
    for preset in PRESETS.values():
        assert preset.name in shown


def test_json_says_where_the_artefact_is_and_how_good(box: CliRunner) -> None:
    ran = box.invoke(root, ["export", "tiny", "--preset", "precise", "--json"])
    assert ran.exit_code == 0
    document = json.loads(ran.stdout)
    assert Path(document["artefact"], "manifest.json").is_file()
    assert document["quality"]["mean_kl"] <= document["quality"]["max_mean_kl"]
    assert document["size_bytes"] > 0
    assert document["peak_bytes"] >= document["build_peak_bytes"] > 0
    assert document["memory_limit_bytes"] > 0


def test_words_for_people_and_plain_lines_without_a_terminal(box: CliRunner) -> None:
    ran = box.invoke(root, ["export", "tiny", "--preset", "float32"])
    assert ran.exit_code == 0
    assert "xported: " in ran.stdout
    assert "mean KL" in ran.stdout
    assert "verify: 100 %" in ran.stderr
    assert "\x1b" not in ran.output


def test_what_was_not_measured_on_a_gpu_is_said(box: CliRunner) -> None:
    ran = box.invoke(root, ["export", "tiny", "--target", "cuda-sm90"])
    assert ran.exit_code == 0
    assert "cuda-sm90-bf16" in ran.stdout
    assert "on the CPU, without a GPU" in ran.stdout
    ran = box.invoke(root, ["export", "tiny", "--target", "cuda-sm90", "--json"])
    assert "rounded to bfloat16" in json.loads(ran.stdout)["quality"]["measured"]


def test_an_unknown_preset_is_refused_with_the_known_ones(box: CliRunner) -> None:
    ran = box.invoke(root, ["export", "tiny", "--preset", "best"])
    assert isinstance(ran.exception, UnknownModelError)
    assert "balanced" in ran.exception.hint
