"""Starts of a tritonserver that ends at once."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from appliance.errors import EngineError
from appliance.inference.served import ServedModelSettings
from appliance.triton.locate import locate
from appliance.triton.server import TritonServer, TritonSettings
from tests.refusals import refused
from tests.triton.installs import make_install
from tests.triton.revival import is_not_revived

_PROGRAM = """\
#!/bin/sh
[ "$1" = --help ] && {{ echo '  --model-repository' >&2; exit 1; }}
echo run >> {runs}
{end}
"""


@pytest.mark.parametrize(("end", "runs"), [("kill -ABRT $$", 2), ("kill -SEGV $$", 1), ("exit 1", 1)])
def test_a_server_that_aborts_is_started_once_more(tmp_path: Path, end: str, runs: int):
    home = make_install(tmp_path / "triton")
    counted = tmp_path / "runs"
    (home / "bin" / "tritonserver").write_text(_PROGRAM.format(runs=counted, end=end))
    said: list[str] = []
    # A socket's path is short.
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        models = (ServedModelSettings("m", folder),)
        settings = TritonSettings(models, folder, folder / "models", folder, folder / "triton")
        server = TritonServer(locate({}, install=home), settings, said.append, is_not_revived)
        with refused(EngineError, "Triton failed to start"):
            asyncio.run(server.start())
    assert counted.read_text().count("run") == runs
    assert any("aborted" in line for line in said) == (runs > 1)
