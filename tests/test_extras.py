"""What hints tell people to install: packages of the index that exist, and never the name `appliance` itself."""

from __future__ import annotations

import shlex
import sys

import pytest

from appliance.extras import install_command, packages


@pytest.mark.parametrize("extra", ["export", "tensorrt", "triton"])
def test_a_command_installs_what_the_extra_adds_into_this_environment(extra: str):
    python, *words = shlex.split(install_command(extra))
    assert python == sys.executable
    assert words[:3] == ["-m", "pip", "install"]
    assert words[3:] == packages(extra) != []
    assert not any(word.startswith("appliance") for word in words)


def test_what_every_installation_has_belongs_to_no_extra():
    assert packages("triton") == ["nvidia-pytriton==0.7.0"]


def test_an_extra_that_stands_in_for_a_package_removes_it_first():
    first, second = install_command("cuda", replaces="onnxruntime").split(" && ")
    assert shlex.split(first)[-2:] == ["--yes", "onnxruntime"]
    assert "install" in shlex.split(second)
