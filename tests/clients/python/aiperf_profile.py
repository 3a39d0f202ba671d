"""AIPerf: short measurements of every API that it has a mode for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.python.box import Box


def _profile(box: Box, mode: str, *words: str) -> dict:
    with tempfile.TemporaryDirectory(prefix="appliance-aiperf-") as folder:
        tokenizer = Path(folder, "tokenizer")
        tokenizer.mkdir()
        shutil.copy(box.tokenizer, tokenizer)
        (tokenizer / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        command = [
            *[str(Path(sys.executable).parent / "aiperf"), "profile", "--model", box.model, "--url", box.http],
            *["--endpoint-type", mode, "--api-key", box.key, "--tokenizer", str(tokenizer), "--ui", "none"],
            *["--request-count", "4", "--concurrency", "2", "--artifact-dir", f"{folder}/results"],
            *["--synthetic-input-tokens-mean", "32", "--output-tokens-mean", "8", *words],
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert ended.returncode == 0, (ended.stdout + ended.stderr)[-2000:]
        (report,) = Path(folder).rglob("profile_export_aiperf.json")
        return json.loads(report.read_text())


def _check(report: dict) -> None:
    assert report["request_count"]["avg"] == 4, report
    assert not report.get("error_request_count"), report


def chat(box: Box) -> None:
    _check(_profile(box, "chat"))
    _check(_profile(box, "completions"))


def stream(box: Box) -> None:
    report = _profile(box, "chat", "--streaming")
    _check(report)
    assert report["time_to_first_token"]["avg"] > 0
