import subprocess
import sys

import psutil

from appliance.triton.model_process import model_processes
from tests.waiting import wait_until

# Starts a process for each path, and another one; each ends with its standard input.
_PARENT = """
import subprocess, sys
for words in ([], *([path, "region"] for path in {paths})):
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", *words])
sys.stdin.read()
"""


def test_the_living_processes_of_models_are_told_by_the_paths_of_their_programs():
    paths = ["model_repository/first/1/model.py", "/r/second/1/model.py", "1/model.py", "third/2/model.py"]
    # Not as words of the parent's: a child has those too for a moment.
    program = _PARENT.format(paths=paths)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as parent:
        # All of them run: the parent starts one after the other.
        wait_until(lambda: len(psutil.Process(parent.pid).children()) == len(paths) + 1)
        wait_until(lambda: model_processes(parent.pid).keys() == {"first", "second"})
        model_processes(parent.pid)["first"].kill()
        # It stays a zombie, as Triton leaves it.
        wait_until(lambda: model_processes(parent.pid).keys() == {"second"})
        assert len(psutil.Process(parent.pid).children()) == len(paths) + 1
        parent.communicate()
    assert model_processes(parent.pid) == {}
