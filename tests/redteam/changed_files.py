"""`python -m tests.redteam.changed_files SEED`: files of a box that somebody has changed, read as the box does.

As tests/export/mutants.py does for checkpoints: a line of JSON for each that is neither read nor refused, then one with
the counts.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance.artefact.folder import check_files, read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import CHAT_TEMPLATE, MANIFEST_NAME, TOKENIZER, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.auth.api_key import ApiKey
from appliance.auth.keyring import Keyring
from appliance.auth.scope import Scope
from appliance.catalog.parse import entry_from_text
from appliance.chat_template.template import ChatTemplate
from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.store.record import ModelRecord
from appliance.targets.load import target_from_text
from tests.export.mutants import SPARE_BYTES
from tests.export.templates import QWEN3
from tests.redteam.mutation import mutants
from tests.store.test_record import RECORD
from tests.tiny_artefact import make_tiny_artefact

_EACH = 300
CONFIGURATION = """\
[serve]
model = "m"
http_address = "127.0.0.1:0"
slots = 4
drain_s = 1.5

[access]
require_keys = true

[access.certificates]
"a.example" = ["infer"]

[limits]
max_requests = 4
idle_timeout_s = 1.5

[sources]
index_url = "https://x.example/simple"
"""
_REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGE = _REPOSITORY / "appliance"


class Readers:
    """The files of a tiny artefact and of the product, and who reads each."""

    def __init__(self, folder: Path) -> None:
        self._artefact = make_tiny_artefact(folder / "artefact", folder / "scratch")
        self._manifest = read_manifest(self._artefact)
        self._folder = folder

    def every(self) -> Iterator[tuple[str, bytes, Callable[[bytes], Any]]]:
        """Yield name, content, and the function that reads it."""
        yield "tokenizer.json", (self._artefact / TOKENIZER).read_bytes(), load_tokenizer
        yield "chat template", (self._artefact / CHAT_TEMPLATE).read_bytes(), _template
        yield "chat template, real", QWEN3.encode(), _template
        yield "manifest", (self._artefact / MANIFEST_NAME).read_bytes(), Manifest.from_bytes
        graph = next(path for path in self._artefact.iterdir() if path.suffix == ".onnx")
        yield "graph", graph.read_bytes(), lambda content: self._graph(graph, content)
        yield "record", RECORD.to_bytes(), lambda content: ModelRecord.from_bytes(content, "x")
        key = Keyring().add(ApiKey.new(), "a", frozenset({Scope.INFER}), 1, None)[0].to_bytes()
        yield "keys.json", key, _refused_by_value(Keyring.from_bytes)
        yield "appliance.toml", CONFIGURATION.encode(), _text(Config.from_text)
        for path in sorted((_PACKAGE / "catalog" / "models").glob("*.toml"))[:1]:
            yield path.name, path.read_bytes(), _text(entry_from_text)
        for path in sorted((_PACKAGE / "targets" / "data").glob("jetson*.toml"))[:1]:
            yield path.name, path.read_bytes(), _text(target_from_text)

    def _graph(self, graph: Path, content: bytes) -> None:
        whole = graph.read_bytes()
        graph.write_bytes(content)
        try:
            check_files(self._artefact, self._manifest)
            check_graph(self._artefact, self._manifest)
        except ApplianceError:
            # What the digest refuses, the gate must refuse or read as well.
            check_graph(self._artefact, self._manifest)
        finally:
            graph.write_bytes(whole)


def _template(content: bytes) -> None:
    template = ChatTemplate(content.decode(errors="replace"), bos_token="", eos_token="")
    template.render([{"role": "user", "content": "a"}])


def _text(read: Callable[[str, str], Any]) -> Callable[[bytes], Any]:
    return lambda content: read(content.decode(errors="replace"), "x")


def _refused_by_value(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def run(content: bytes) -> None:
        with contextlib.suppress(ValueError):
            read(content)

    return run


def main() -> None:
    """Try them all."""
    chance = random.Random(int(sys.argv[1]))
    counts = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as name:
        every = list(Readers(Path(name)).every())
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + SPARE_BYTES,) * 2)
        for kind, content, read in every:
            for what, changed in mutants(content, chance, _EACH):
                outcome, error = _outcome(read, changed)
                counts[outcome] += 1
                if error:
                    _print(mutant=f"{kind}: {what}", error=error)
    _print(**counts)


def _outcome(read: Callable[[bytes], Any], content: bytes) -> tuple[str, str]:
    """What came of it, and a fault's traceback."""
    try:
        read(content)
    except ApplianceError:
        return "refused", ""
    except BaseException:  # noqa: BLE001 - a panic of a library is no Exception
        return "refused", traceback.format_exc()[-1500:]
    return "read", ""


def _print(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
