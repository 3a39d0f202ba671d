"""What the endpoints of a reranker share: bounds, the request to the model, and the scores in its answer."""

from __future__ import annotations

import asyncio
import math
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.errors import PromptTooLongError, RequestError
from appliance.gateway.bodies.other_servers import HINTS, REFUSED
from appliance.gateway.bodies.parameter_policy import Hint, ParameterPolicy, Refused, Synonym
from appliance.gateway.chat.reranking_model import Pair, RerankingModel
from appliance.gateway.triton.reranking_request import RerankingRequest

MAX_PAIRS = 2048
MAX_TOKENS = 300_000
POLICY = ParameterPolicy(
    hints={
        "max_chunks_per_doc": Hint("the box does not split documents"),
        **{name: HINTS[name] for name in ("priority", "request_id")},
    },
    refused={
        "rank_fields": Refused("the box ranks only the field text of a document", ([], ["text"])),
        "mm_processor_kwargs": REFUSED["mm_processor_kwargs"],
    },
    synonyms={"activation": Synonym("use_activation")},
)


@dataclass(frozen=True)
class Limits:
    """Which tokens the client allows the box to cut off.

    Attributes:
        truncate_prompt_tokens: the tokens of each pair to keep; -1: as many as fit; None: all.
        max_tokens_per_doc: the tokens of each document to keep; None: all.
    """

    truncate_prompt_tokens: int | None = None
    max_tokens_per_doc: int | None = None


async def pairs(
    model: RerankingModel, texts: Sequence[tuple[tuple[str, str], tuple[str, str]]], limits: Limits
) -> list[Pair]:
    """The tokens of each pair.

    Args:
        model: the reranker.
        texts: for each pair, query and document, each with the client's name of it.
        limits: what may be cut off.

    Raises:
        RequestError: a text is empty, or there are too many pairs.
        PromptTooLongError: a pair is too long, or all pairs have too many tokens together.
    """
    (_, (_, last)) = texts[-1]
    where = last.partition("[")[0]
    if len(texts) > MAX_PAIRS:
        raise RequestError(
            f"{where} has {len(texts)} texts; the limit is {MAX_PAIRS}", hint="send several requests", param=where
        )
    if limits.truncate_prompt_tokens == 0:
        raise RequestError("truncate_prompt_tokens 0 leaves no text", param="truncate_prompt_tokens")
    known: dict[str, list[int]] = {}
    made, total = [], 0
    for (query, query_name), (document, name) in texts:
        if query not in known:
            known[query] = await model.tokens(query, query_name)
        second = await model.tokens(document, name)
        made.append(
            model.pair(known[query], second[: limits.max_tokens_per_doc], name, cut=limits.truncate_prompt_tokens)
        )
        total += len(made[-1].ids)
        # Short texts are encoded without a pause: other requests run between them.
        await asyncio.sleep(0)
        if total > MAX_TOKENS:
            raise PromptTooLongError(
                f"the pairs have more than {MAX_TOKENS} tokens together", hint="send several requests", param=where
            )
    return made


def request_of(model: RerankingModel, made: Sequence[Pair], kind: str, timeout_s: float) -> RerankingRequest:
    """The request to the model; `kind` is the first part of its id."""
    ids, lengths = [pair.ids for pair in made], [pair.first_length for pair in made]
    return RerankingRequest(f"{kind}-{uuid.uuid4().hex}", model.name, ids, timeout_s, first_lengths=lengths)


def scores(content: bytes, *, use_activation: bool | None) -> list[float]:
    """The score of each pair from the model's answer: the sigmoid of its logit, or the logit itself."""
    logits = [logit for (logit,) in struct.iter_unpack("<f", content)]
    return logits if use_activation is False else [_sigmoid(logit) for logit in logits]


def _sigmoid(logit: float) -> float:
    """The sigmoid, written so that no power overflows."""
    power = math.exp(-abs(logit))
    return (1 if logit >= 0 else power) / (1 + power)
