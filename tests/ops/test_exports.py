"""What the compiled library shows to others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.ops import library
from appliance.ops.record import LIBRARY


def test_only_the_entry_points_are_exported():
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    path = library.HERE / LIBRARY
    listing = subprocess.run(["nm", "--dynamic", "--defined-only", path], check=True, capture_output=True, text=True)
    exported = {line.split()[-1] for line in listing.stdout.splitlines()}
    assert exported == {"RegisterCustomOps", "appliance_ops_kernels"}


@pytest.mark.usefixtures("ops_library")
def test_a_process_that_used_the_library_ends_cleanly():
    # ONNX Runtime unloads the library with the last session: nothing of the library may run when the process ends.
    program = (
        "import numpy as np\n"
        "from appliance.ops.library import library\n"
        "from tests.ops.matrices import matmul_node\n"
        "from tests.ops.reference import quantised\n"
        "from tests.ops.sessions import run\n"
        "node = matmul_node(quantised(np.random.default_rng(0), 64, 64, 64, 8, offsets=False), 64)\n"
        "run(node, {'x': np.ones((1, 64), np.float32)}, library().path)\n"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
