"""A Triton that does not keep to its Unix sockets is ended at once, whether or not it would have served."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil

from appliance.errors import MissingProgramError
from appliance.inference.served import ServedModelSettings
from appliance.triton.locate import locate
from appliance.triton.server import TritonServer, TritonSettings
from tests.refusals import refused
from tests.triton.installs import make_install
from tests.triton.revival import is_not_revived

# One that takes "unix:…" for nothing, as a future version might, and listens where Triton does by default.
_PROGRAM = """#!{python}
import os, socket, sys, time
if "--help" in sys.argv:
    sys.exit(sys.stderr.write("  --model-repository <string>\\n") and 1)
one = socket.create_server(("127.0.0.1", 0))
open({mark!r}, "w").write(str(os.getpid()))
time.sleep(600)
"""


def test_one_that_listens_on_tcp_is_ended_and_named(tmp_path: Path):
    home = make_install(tmp_path / "t")
    mark = tmp_path / "pid"
    (home / "bin" / "tritonserver").write_text(_PROGRAM.format(python=sys.executable, mark=str(mark)))
    run = tmp_path / "run"
    run.mkdir()
    models = (ServedModelSettings("m", tmp_path),)
    settings = TritonSettings(models, tmp_path, tmp_path / "repository", run, run / "triton")
    server = TritonServer(locate(os.environ, install=home), settings, lambda _line: None, is_not_revived)
    with refused(MissingProgramError, "0100007F:"):
        asyncio.run(server.start())
    assert not psutil.pid_exists(int(mark.read_text()))
