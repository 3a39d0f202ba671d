"""Writes what llama.cpp says about SmolLM2's file: `.venv-bench/bin/python -m tests.oracle.llama_cpp --gguf FILE`.

transformers' reader of GGUF files does not split digits for this model. `make peers` creates the environment. llama.cpp
quantises activations, so its likelihoods are near those of the file's weights, not equal.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from export.quality.text_set import MAX_TOKENS_PER_TEXT, load_texts
from tests.oracle.texts import NUMBERS, TOKENISED

GOLDEN = Path(__file__).parent.parent / "golden" / "smollm2-135m-instruct.json"


def main() -> None:
    """Write the golden file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True, help="GGUF file of SmolLM2-135M-Instruct of the catalogue")
    model = llama_cpp.Llama(str(parser.parse_args().gguf), n_ctx=1024, logits_all=True, verbose=False)
    content = {
        "made_with": {"llama-cpp-python": llama_cpp.__version__},
        "tokenised": [{"text": text, "ids": _ids(model, text)} for text in (*TOKENISED, *NUMBERS)],
        "negative_log_likelihoods": {
            text.name: round(_likelihood(model, _ids(model, text.content)[:MAX_TOKENS_PER_TEXT]), 4)
            for text in load_texts()
        },
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    GOLDEN.write_text(text.replace("}, {", "},\n{") + "\n", encoding="utf-8")


def _ids(model: Any, text: str) -> list[int]:
    ids: list[int] = model.tokenize(text.encode(), add_bos=False, special=True)
    return ids


def _likelihood(model: Any, ids: Sequence[int]) -> float:
    """Mean negative log-likelihood of each token after those before it."""
    model.reset()
    model.eval(ids[:-1])
    logits = model.scores[: len(ids) - 1].astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    normal = np.log(np.exp(logits).sum(-1))
    return float(np.mean(normal - logits[np.arange(len(ids) - 1), ids[1:]]))


if __name__ == "__main__":
    main()
