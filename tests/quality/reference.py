"""`python -m tests.quality.reference GGUF FOLDER`: writes the checkpoint as transformers reads it, in 32-bit floats.

It runs in the oracle's environment. The harness compares the box with this model, and takes its tokenizer for both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import transformers
from tokenizers import normalizers


def main(gguf: Path, folder: Path) -> None:
    """Write model and tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # As in tests/oracle: read from GGUF, it lacks the normaliser of Qwen's own tokenizer.json.
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    tokenizer.save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
