"""The weights in the peers' formats, converted once from the checkpoint's file and kept in the cache folder.

Converters run with the peers' own interpreters. A change of version or arguments causes a new conversion.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from appliance import durable
from appliance.artefact.manifest import TOKENIZER
from bench.environments import ORACLE, PEERS, ROOT, Environment
from bench.float_gguf import write_float_gguf
from bench.model import Model
from bench.rounds import AbsentError, Say
from export.presets import DEFAULT

_KEY_DIGITS = 16
# Prints the path of the Model Builder's program, which finds its own modules only if it is run as a file.
_FIND_BUILDER = """
import importlib.util
from pathlib import Path
print(Path(importlib.util.find_spec("onnxruntime_genai").origin).parent / "models" / "builder.py")
"""
_BUILDER = ("onnxruntime-genai",)
_BUILDER_NEEDS = ("onnx-ir", "onnxruntime", "torch", "transformers", "gguf")
_BUILDER_ARGUMENTS = {
    # The settings of our precise preset; the builder's own; the builder's own with its better quantiser.
    "ort-genai-int8": ("int8", "block_size=64", "accuracy_level=4", "prune_lm_head=true"),
    "ort-genai-int4": ("int4", "prune_lm_head=true"),
    "ort-genai-k-quant": ("int4", "algo_config=k_quant", "prune_lm_head=true"),
}
_OPENVINO_MODES = {"openvino-int8": "int8", "openvino-int4": "int4"}


class PeerModels:
    """One model in all formats."""

    def __init__(self, model: Model, cache: Path, say: Say) -> None:
        """Keep converted models in `cache`; `say` receives a line for each conversion."""
        self._model = model
        self._folder = cache / "bench" / f"{model.name}-{model.sha256[:_KEY_DIGITS]}"
        self._say = say

    def weights(self, name: str) -> Path:
        """The file or folder of a format, converted now if it is not in the cache.

        Raises:
            AbsentError: its converter is not installed, or failed.
        """
        if name == "gguf":
            return self._model.gguf
        if name in _OPENVINO_MODES:
            return self._converted(name, ("openvino-genai", "nncf"), self._openvino)
        return self._converted(name, _BUILDER, self._ort_genai)

    def _converted(self, name: str, packages: tuple[str, ...], convert: Callable[[str, Path, Path], None]) -> Path:
        made_with = (*_BUILDER_ARGUMENTS.get(name, ()), *PEERS.versions(packages).values())
        folder = self._folder / "-".join([name, *made_with])
        if folder.is_dir():
            return folder
        self._say(f"making {name} of {self._model.name}; kept in {folder}")
        durable.make_folder(self._folder)
        with tempfile.TemporaryDirectory(prefix=durable.TEMPORARY_PREFIX, dir=self._folder) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            floats = Path(scratch) / "float" / "model.gguf"
            floats.parent.mkdir()
            write_float_gguf(self._model.gguf, floats)
            convert(name, floats, made)
            durable.publish_folder(made, folder)
        return folder

    def _openvino(self, name: str, floats: Path, made: Path) -> None:
        module = "bench.workers.openvino_convert"
        _convert(PEERS, ["-m", module, str(floats), str(made), _OPENVINO_MODES[name]])

    def _ort_genai(self, name: str, floats: Path, made: Path) -> None:
        """Run the Model Builder; it reads configuration and tokenizer from a folder, and weights from the file."""
        reason = ORACLE.missing(_BUILDER_NEEDS)
        if reason:
            raise AbsentError(f"its Model Builder cannot run: {reason}")
        words = floats.parent / "words"
        words.mkdir()
        shutil.copy(self._model.artefacts[DEFAULT].folder / TOKENIZER, words)
        configuration = dict(self._model.config)
        configuration["architectures"] = [f"{configuration['model_type'].capitalize()}ForCausalLM"]
        (words / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
        (words / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8")
        builder = _convert(PEERS, ["-c", _FIND_BUILDER]).strip()
        precision, *options = _BUILDER_ARGUMENTS[name]
        _convert(
            ORACLE,
            [
                *(builder, "-m", str(words), "-i", str(floats), "-o", str(made), "-p", precision, "-e", "cpu"),
                *("-c", str(floats.parent / "builder"), "--extra_options", *options, "hf_token=false"),
            ],
        )


def _convert(environment: Environment, arguments: list[str]) -> str:
    """Run a converter; returns its standard output.

    Raises:
        AbsentError: the converter failed; the message has the last line of its log.
    """
    ran = subprocess.run(
        [str(environment.python), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=ROOT,
        env=environment.variables(),
        check=False,
    )
    if ran.returncode != 0:
        raise AbsentError(f"its model cannot be made: {(ran.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return ran.stdout
