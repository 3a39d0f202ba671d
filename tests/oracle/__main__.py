"""Writes tests/golden with torch and transformers, so that tests need neither: `python -m tests.oracle`.

It computes in float32 with transformers' eager attention. Of the product, only the text set takes part.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import normalizers

from export.quality.text_set import GREEDY_TOKENS, MAX_TOKENS_PER_TEXT, load_texts
from export.quality.text_set import PROMPTS as PROMPTS_READ
from tests.checkpoints import make_tiny_checkpoint
from tests.oracle.cross_encoders import write_cross_encoders
from tests.oracle.decoder_embedders import write_decoder_embedders
from tests.oracle.encoders import write_encoders
from tests.oracle.models import SCALED, TINY, prompts
from tests.oracle.texts import CONVERSATIONS, PROMPTS, TOKENISED

GOLDEN = Path(__file__).parent.parent / "golden"
NEW_TOKENS = 32
TOP = 20


def main() -> None:
    """Write every golden file; a real model's only when its files are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, help="GGUF file of Qwen2.5-Coder-0.5B-Instruct, as in the catalogue")
    parser.add_argument("--minilm", type=Path, help="folder of all-MiniLM-L6-v2, as in the catalogue")
    arguments = parser.parse_args()
    GOLDEN.mkdir(exist_ok=True)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    for name, options in {**TINY, **SCALED}.items():
        with tempfile.TemporaryDirectory() as folder:
            _write(name, _tiny(make_tiny_checkpoint(Path(folder), **options), prompts(name)))
    write_encoders(arguments.minilm)
    write_cross_encoders()
    write_decoder_embedders()
    if arguments.gguf:
        _write("qwen2.5-coder-0.5b-instruct", _real(arguments.gguf.resolve()))


def _tiny(folder: Path, asked: Sequence[Sequence[int]]) -> dict[str, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return {"prompts": [_continued(model, ids) for ids in asked]}


def _real(gguf: Path) -> dict[str, Any]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # Read from GGUF, it lacks the normaliser that transformers' own Qwen2Tokenizer and Qwen's tokenizer.json have.
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    config = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=config, dtype=torch.float32, attn_implementation="eager"
    )
    prompts = [_continued(model, tokenizer(text)["input_ids"]) | {"text": text} for text in PROMPTS]
    return {
        "prompts": prompts,
        "quality": _quality(model, tokenizer),
        "tokenised": [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in TOKENISED],
        "conversations": [
            {
                "messages": list(messages),
                "text": tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True),
            }
            for messages in CONVERSATIONS
        ],
    }


def _continued(model: Any, ids: Sequence[int]) -> dict[str, Any]:
    """The best logits after each eighth of the prompt, and what greedy decoding adds."""
    prompt = torch.tensor([list(ids)])
    logits = model.eval()(prompt).logits[0]
    rows = sorted({*range(0, len(ids), 8), len(ids) - 1})
    best = [torch.topk(logits[row], TOP) for row in rows]
    # A plain configuration: the checkpoint's own would add penalties and stop early.
    plain = transformers.GenerationConfig(do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS)
    model.generation_config = plain
    completion = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=plain)[0][len(ids) :]
    return {
        "ids": list(ids),
        "best": [
            {"row": row, "ids": top.indices.tolist(), "logits": [round(value, 5) for value in top.values.tolist()]}
            for row, top in zip(rows, best, strict=True)
        ],
        "completion": completion.tolist(),
    }


def _quality(model: Any, tokenizer: Any) -> dict[str, Any]:
    """What the reference of the quality report must be: mean negative log-likelihoods, greedy continuations."""
    likelihoods = {}
    for text in load_texts():
        ids = torch.tensor(tokenizer(text.content)["input_ids"][:MAX_TOKENS_PER_TEXT])
        logits = model.eval()(ids[None, :-1]).logits[0][:, : len(tokenizer)]
        likelihoods[text.name] = round(float(torch.nn.functional.cross_entropy(logits, ids[1:])), 5)
    greedy = [
        _continued(model, tokenizer(prompt)["input_ids"])["completion"][:GREEDY_TOKENS] for prompt in PROMPTS_READ
    ]
    return {"negative_log_likelihoods": likelihoods, "greedy": greedy}


def _write(name: str, content: Mapping[str, Any]) -> None:
    made_with = {"torch": torch.__version__, "transformers": transformers.__version__}
    text = json.dumps({"made_with": made_with, **content}, ensure_ascii=False, sort_keys=True)
    # One value of the outer lists a line keeps differences readable and the files small.
    (GOLDEN / f"{name}.json").write_text(text.replace("}, {", "},\n{") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
