"""Converts a float GGUF file to an OpenVINO model and compresses it with NNCF. Run by the peers' interpreter.

`python -m bench.workers.openvino_convert FLOAT.gguf FOLDER int8|int4`. FOLDER gets the files that the pipeline loads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nncf  # type: ignore[import-not-found]  # the peers' environment alone has it
import openvino
import openvino_genai

from bench.workers.openvino import IR

_MODES = {
    "int8": {"mode": nncf.CompressWeightsMode.INT8_SYM},
    "int4": {"mode": nncf.CompressWeightsMode.INT4_SYM, "group_size": 64},
}


def convert(gguf: Path, folder: Path, mode: str) -> None:
    """Write the model. The pipeline saves its float model beside the GGUF file; it is read there and then deleted."""
    openvino_genai.LLMPipeline(str(gguf), "CPU", enable_save_ov_model=True)
    beside = gguf.parent
    model = nncf.compress_weights(openvino.Core().read_model(beside / IR), **_MODES[mode])
    openvino.save_model(model, folder / IR)
    for path in beside.glob("openvino_*tokenizer.*"):
        path.rename(folder / path.name)
    for path in beside.glob("openvino_model.*"):
        path.unlink()


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
