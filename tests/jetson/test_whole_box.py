"""`appliance up` with a real Triton on what looks like a board: its figures are shown, and its heat counts."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.metrics import Sample, parse
from tests.jetson.captured import heat, unpack
from tests.running_box import RunningBox
from tests.waiting import LIMIT_S, wait_until

AS_BOARD = Path(__file__).parent / "as_board.sh"
pytestmark = pytest.mark.triton


class BoxOnBoard(RunningBox):
    """Each of its processes sees the board's files."""

    def __init__(self, root: Path, tree: Path) -> None:
        super().__init__(root)
        self.tree = tree

    def command(self, *words: str) -> list[str]:
        return _as_board(self.tree, *super().command(*words))

    def samples(self) -> list[Sample]:
        with urllib.request.urlopen(f"http://{self.state.metrics}/metrics", timeout=LIMIT_S) as answer:
            return [sample for sample in parse(answer.read().decode()) if sample.name.startswith("appliance_")]

    def figure(self, name: str, **labels: str) -> float | None:
        wanted = labels.items()
        found = [each.value for each in self.samples() if each.name == name and wanted <= each.labels.items()]
        return found[0] if found else None


def _as_board(tree: Path, *command: str) -> list[str]:
    return ["unshare", "--mount", "sh", str(AS_BOARD), str(tree), *command]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    if shutil.which("unshare") is None:
        pytest.skip("this machine has no unshare, by which a test could show a board's files")
    root = unpack("orin-nano", tmp_path / "tree")
    # The device tree lies in /proc, where nothing can be put.
    (root / "sys/class/dmi/id").mkdir(parents=True)
    (root / "sys/class/dmi/id/product_name").write_bytes((root / "proc/device-tree/model").read_bytes())
    tried = subprocess.run(_as_board(root, "true"), capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine lets the tests mount nothing: {tried.stderr.strip()}")
    return root


def test_a_box_on_a_board_tells_its_heat_and_fills_fewer_slots(tree: Path, tmp_path: Path):
    with BoxOnBoard(tmp_path, tree) as box:
        assert box.figure("appliance_slots_allowed") == 4
        assert box.figure("appliance_board_temperature_celsius", zone="gpu-thermal") == 49.4
        assert box.figure("appliance_board_power_mode", mode="15W") == 1
        assert "slots     0 of 4 busy\n" in box.call("status").stdout
        heat(tree, 98)
        (tree / "var/lib/nvpmodel/status").write_text("pmode:0002 fmode:fanNull\n")
        wait_until(lambda: box.figure("appliance_slots_allowed") == 1)
        wait_until(lambda: box.figure("appliance_board_power_mode", mode="MAXN_SUPER") == 1)
        assert box.figure("appliance_board_power_mode", mode="15W") != 1
        with ThreadPoolExecutor() as clients, box.completion(max_tokens=60_000, stream=True, ignore_eos=True):
            # Its answer begins when the first one's has ended.
            second = clients.submit(box.completion, max_tokens=1)
            wait_until(lambda: box.status["engine"]["queue_length"] == 1)
            assert box.slots_busy == 1
            page = box.call("status").stdout
        with second.result() as answer:
            assert answer.status == 200
    for words in (
        "slots     1 of 4 busy, 1 allowed",
        "board     NVIDIA Jetson Orin Nano Developer Kit Super, Jetson Linux 36.4.7",
        "power     mode MAXN_SUPER, 9.3 W",
        "heat      98.0 °C in cpu-thermal, 1.0 °C below",
        "edge-llm  not installed",
    ):
        assert words in page
