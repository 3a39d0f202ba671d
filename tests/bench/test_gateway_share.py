"""What the bench says of the gateway itself, measured on a real gateway before a Triton of known speed."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from appliance.address import Address
from appliance.gateway.triton.channel import TritonChannel
from bench.workers.gateway_share import gateway_figures
from bench.workers.http_client import Client
from tests.bench.fakes import WORK, assignment
from tests.gateway.fake_triton import piece, usage
from tests.gateway.harness import Harness, LoopThread
from tests.gateway.tiny_artefact import write_artefact

MODEL = "tiny-instruct"


@pytest.fixture
def harness(tmp_path):
    thread = LoopThread()
    harness = Harness(thread, (write_artefact(tmp_path / "instruct"),), drain_s=0.2)
    harness.wait_until_ready()
    yield harness
    harness.close()
    thread.close()


def test_both_ways_are_asked_for_the_same_and_the_shares_are_shares(harness):
    async def script(asked):
        count = asked.sampling["max_tokens"]
        for number in range(count):
            last = number == count - 1
            yield piece("a", [number], finish="length" if last else "", usage=usage(asked, count) if last else None)
            await harness.triton.pause()

    harness.triton.script = script
    address = Address.from_text(harness.url.removeprefix("http://"))

    async def measured():
        triton = TritonChannel(harness.triton.sockets)
        try:
            return await gateway_figures(Client(address.host, address.port, MODEL), triton, assignment(repeats))
        finally:
            await triton.close()

    repeats = dataclasses.replace(WORK, repeats=1)
    figures = asyncio.run(measured())
    assert set(figures) == {"models_per_s", "gateway_ttft_share", "gateway_rate_share"}
    assert figures["models_per_s"] > 0
    assert all(value < 1 for name, value in figures.items() if name != "models_per_s")
    asked = harness.triton.asked
    # Half through the gateway, half past it; no prompt twice, so that no prefix is reused.
    assert len(asked) == 2 * (4 + WORK.busy_streams)
    assert {one.sampling["max_tokens"] for one in asked} == {1, WORK.decode_tokens}
    assert len({one.prompt_ids for one in asked}) > len(asked) // 2
