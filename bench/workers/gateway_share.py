"""Measures the gateway's overhead: the same completions with and without it, in turn, and its cheapest request.

Without the gateway, the client sends the gateway's messages to Triton's gRPC, and counts the answers without decoding.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

import grpc.aio

from appliance.auth.principal import LOCAL
from appliance.gateway.kserve.request import error_text
from appliance.gateway.triton.channel import TritonChannel
from appliance.gateway.triton.completion import CompletionRequest
from appliance.gateway.triton.methods import STREAM
from appliance.gateway.triton.tensors import opening_message, request_message
from bench.assignment import Assignment
from bench.workers.http_client import Client
from bench.workers.measure import Figures
from bench.workers.prompts import Prompts
from bench.workers.timeline import Timeline, first_token_s, spread_tokens, steady_rate

Complete = Callable[[Sequence[int], int], Awaitable[Timeline]]

_TIMEOUT_S = 600.0
_CONNECTIONS = 4
# Enough calls for some tenths of a second at the expected rates.
_CHEAP_CALLS = 2000
_CHEAP_CALLS_QUICK = 40
# More repeats of each TTFT: it takes milliseconds, and the difference is a part of them.
_REPEATS_FACTOR = 4


async def gateway_figures(client: Client, triton: TritonChannel, assignment: Assignment) -> Figures:
    """Return `models_per_s`, and the gateway's shares of time to the first token and of throughput."""
    work = assignment.work
    prompts = Prompts(assignment.corpus, assignment.seed)

    async def past(prompt: Sequence[int], tokens: int) -> Timeline:
        return await _complete(triton, client.model, prompt, tokens)

    ways: tuple[Complete, Complete] = (client.complete, past)
    waits: tuple[list[float], list[float]] = ([], [])
    for _ in range(work.repeats * _REPEATS_FACTOR):
        for complete, found in zip(ways, waits, strict=True):
            found.append(first_token_s(await complete(prompts.take(work.short_tokens), 1)))
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(work.repeats):
        for complete, found in zip(ways, rates, strict=True):
            several = prompts.several(work.busy_streams, work.prompt_tokens)
            timelines = await asyncio.gather(*(complete(prompt, work.decode_tokens) for prompt in several))
            found += [rate for rate in [steady_rate(list(timelines))] if rate is not None]
    calls = _CHEAP_CALLS if work.repeats > 1 else _CHEAP_CALLS_QUICK
    return {
        "models_per_s": await client.models_per_s(calls, _CONNECTIONS),
        "gateway_ttft_share": _lost(1 / statistics.median(waits[0]), 1 / statistics.median(waits[1])),
        "gateway_rate_share": _lost(*map(statistics.median, rates)) if all(rates) else None,
    }


def _lost(through: float, past: float) -> float:
    """The share of a rate that is lost with the gateway."""
    return 1 - through / past


async def _complete(triton: TritonChannel, model: str, prompt: Sequence[int], tokens: int) -> Timeline:
    sampling = {"max_tokens": tokens, "temperature": 0, "repetition_penalty": 1, "ignore_eos": True}
    request = CompletionRequest(uuid.uuid4().hex, model, [prompt], sampling, stream=True, timeout_s=_TIMEOUT_S)
    asked = time.perf_counter()
    messages = [opening_message(model), request_message(request, LOCAL.name)]
    call = triton.stream(STREAM, [message.SerializeToString() for message in messages], _TIMEOUT_S)
    arrivals: list[float] = []
    while (response := await call.read()) is not grpc.aio.EOF:
        arrivals.append(time.perf_counter() - asked)
        if (error := error_text(response)) is not None:
            raise RuntimeError(f"Triton answered with {error}")
    if not arrivals:
        raise RuntimeError(f"Triton answered with {await call.code()} {await call.details()}")
    return spread_tokens(arrivals, tokens)
