"""Log-probabilities as JSON, in the format of Triton's vLLM backend: for each token an object with token ids as keys.

The object contains the likeliest tokens and the chosen token, even if the chosen token is not among the likeliest.
Source: triton-inference-server/vllm_backend, docs/additional_outputs.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from appliance.inference.events import TokenLogprob


def write(tokens: Iterable[TokenLogprob], decode: Callable[[int], str]) -> str:
    """The JSON text of the given tokens; `decode` returns the text of one token id."""
    return json.dumps([figures(token, decode) for token in tokens])


def read(token_ids: Sequence[int], text: str) -> tuple[TokenLogprob, ...]:
    """Parse the output of `write` for the chosen tokens `token_ids`; other backends may omit the ranks.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the text is not in this format.
    """
    return tuple(_token(chosen, entry) for chosen, entry in zip(token_ids, json.loads(text or "[]"), strict=True))


def read_next(prompt: Iterator[int], text: str) -> tuple[TokenLogprob, ...]:
    """Parse the output of `write` for the next tokens of a prompt, and take these tokens from `prompt`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the text is not in this format, or the prompt has fewer tokens.
    """
    entries = json.loads(text or "[]")
    tokens = list(islice(prompt, len(entries)))
    return tuple(_token(token, entry) for token, entry in zip(tokens, entries, strict=True))


def figures(token: TokenLogprob, decode: Callable[[int], str]) -> dict[int, dict[str, Any]]:
    """The entry of one token."""
    ranks: dict[int, tuple[int | None, float]]
    ranks = {one: (rank, logprob) for rank, (one, logprob) in enumerate(token.top, start=1)}
    ranks.setdefault(token.token_id, (token.rank, token.logprob))
    return {
        one: {"logprob": logprob, "rank": rank, "decoded_token": decode(one)} for one, (rank, logprob) in ranks.items()
    }


def _token(chosen: int, entry: dict[str, Any]) -> TokenLogprob:
    ranked = [(int(one), figures["logprob"]) for one, figures in entry.items() if figures.get("rank", 0) is not None]
    ranked.sort(key=lambda pair: -pair[1])
    own = entry[str(chosen)]
    return TokenLogprob(chosen, own["logprob"], tuple(ranked), own.get("rank"))
