"""Foreign modules on PYTHONPATH and in the current folder do not get into the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.sources.pip_settings import read_pip_options

_TRAP = "raise SystemExit('a foreign module runs')"


@pytest.mark.parametrize("is_path", [True, False], ids=["PYTHONPATH", "the current folder"])
def test_a_foreign_module_is_not_imported(tmp_path: Path, is_path: bool):
    for name in ("click", "numpy", "grpc", "psutil", "tomllib", "tomli", "json", "pathlib"):
        # What Python loads before our first line is beyond us: with PYTHONPATH the standard library's is among it.
        if not is_path or name not in {"json", "pathlib"}:
            (tmp_path / f"{name}.py").write_text(_TRAP)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if is_path:
        environ |= {"PYTHONPATH": f"absent{os.pathsep}{tmp_path}", "PYTHONWARNINGS": "error"}
    code = "import sys; sys.path[0] = ''; from appliance.cli import main; main()"
    command = [sys.executable, "-c", code, "--root", str(tmp_path), "status"]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 13, ran
    assert "not serving a model" in ran.stderr


def test_children_get_none_of_pythons_variables():
    code = "import os; from appliance.isolation import isolate; isolate(); print(list(os.environ))"
    environ = {**os.environ, "PYTHONPATH": "/x", "PYTHONOPTIMIZE": "1", "PYTHONSTARTUP": "/x"}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert "PYTHON" not in ran.stdout


def test_pip_is_asked_without_the_modules_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    read_pip_options(os.environ)
    assert not (tmp_path / "ran").exists()
