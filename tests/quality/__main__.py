"""`python -m tests.quality`: evaluate a box and the reference with the same harness, and write docs/quality.md."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from appliance.store.models import open_model
from tests.clients import calls
from tests.clients.box import ClientsBox
from tests.quality.harness import PYTHON, ROOT, Run
from tests.quality.page import page
from tests.real_model import NAME, prepared_layout

PAGE = ROOT / "docs" / "quality.md"
PLAIN = ("appliance_capitals", "appliance_pages", "appliance_sums")
CHAT = ("appliance_sums",)


def main() -> int:
    """Run both, and write the page."""
    with tempfile.TemporaryDirectory(prefix="appliance-quality-") as folder:
        reference, root = Path(folder, "reference"), Path(folder, "box")
        root.mkdir()
        writing = [str(PYTHON), "-m", "tests.quality.reference", str(_gguf()), str(reference)]
        subprocess.run(writing, check=True, cwd=ROOT)
        with ClientsBox(root) as box:
            key, url = box.environment[calls.KEY], f"http://{box.environment[calls.HTTP]}/v1"
            ours = {
                "plain": _on_the_box("local-completions", f"{url}/completions", reference, PLAIN).figures(key),
                "chat": _on_the_box("local-chat-completions", f"{url}/chat/completions", reference, CHAT).figures(key),
            }
        on_torch = {"pretrained": str(reference), "dtype": "float32"}
        theirs = {
            "plain": Run("hf", on_torch, PLAIN).figures(""),
            "chat": Run("hf", on_torch, CHAT, chat=True).figures(""),
        }
    versions = {package: _oracle_version(package) for package in ["lm_eval", "torch"]}
    PAGE.write_text(page(ours, theirs, versions), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))  # noqa: T201
    return 0


def _gguf() -> Path:
    (file,) = open_model(prepared_layout(), NAME).files.values()
    return file


def _on_the_box(model: str, url: str, tokenizer: Path, tasks: tuple[str, ...]) -> Run:
    arguments = {"model": NAME, "base_url": url, "tokenizer": str(tokenizer), "num_concurrent": "4", "max_retries": "1"}
    return Run(model, arguments, tasks, chat="chat" in model)


def _oracle_version(package: str) -> str:
    command = [str(PYTHON), "-c", f"from importlib.metadata import version; print(version({package!r}))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
