"""Decodes with transformers, a static cache and torch.compile, and prints tokens/s as JSON. It imports nothing of ours.

It runs in any Python that has torch with CUDA. The argument is that of `main`, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
import transformers


def main(wanted: dict[str, Any]) -> dict[str, Any]:
    """Measure the throughput of decoding.

    Args:
        wanted: `config`, a model's config.json; `streams`, batch sizes; `context`, rows in the cache before the first
            step; `steps`, how many to time; `device`; `dtype`.

    Returns:
        Versions, and tokens/s by number of streams.
    """
    torch.manual_seed(0)
    device, dtype = torch.device(wanted["device"]), getattr(torch, wanted["dtype"])
    config = transformers.AutoConfig.for_model(**wanted["config"])
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    rates = {str(streams): _rate(model, streams, wanted["context"], wanted["steps"]) for streams in wanted["streams"]}
    return {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}, "tokens_per_s": rates}


@torch.no_grad()  # type: ignore[untyped-decorator]
def _rate(model: Any, streams: int, context: int, steps: int) -> float:
    cache = transformers.StaticCache(config=model.config, max_cache_len=context + 2 * steps)
    tokens = torch.ones((streams, context), dtype=torch.long, device=model.device)
    positions = torch.arange(context, device=model.device)
    model(tokens, past_key_values=cache, cache_position=positions, logits_to_keep=1)
    step = torch.compile(_step, mode="reduce-overhead", fullgraph=True)
    following = tokens[:, :1].clone()
    seconds = 0.0
    for number in range(2 * steps):
        position = torch.tensor([context + number], device=model.device)
        if number == steps:  # the first half compiles and warms up
            _synchronize(model.device)
            seconds = time.perf_counter()
        following = step(model, following, cache, position).clone()
    _synchronize(model.device)
    return float(streams * steps / (time.perf_counter() - seconds))


def _step(model: Any, tokens: Any, cache: Any, position: Any) -> Any:
    logits = model(tokens, past_key_values=cache, cache_position=position).logits
    return logits[:, -1:].argmax(-1)


def _synchronize(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
