"""What each key of [serve] changes on a real box: the engine in a real Triton, and where the gateway listens."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import psutil
import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import MANIFEST_NAME
from appliance.config import Config
from appliance.engine.engine import Engine
from appliance.engine.scheduler import SchedulerLimits
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from appliance.metrics import parse
from appliance.supervisor.engine_settings import engine_settings
from tests.configuration.rows import row
from tests.engine.core_bench import Bench
from tests.engine.toy import ExactToyRunner
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY, make_tiny_artefact
from tests.waiting import LIMIT_S, wait_until

MODEL, TARGET, PRESET = "second", "cuda-sm90", "odd"
ADDRESSES = "\n".join(f'{name}_address = "127.0.0.1:0"' for name in ("http", "grpc", "metrics"))
CONTEXT, CACHE_BYTES, CHUNK = 20_000, 100_000_000, 32
CONFIGURATION = f"""\
[serve]
target = "{TARGET}"
preset = "{PRESET}"
{ADDRESSES}
slots = 2
max_queue_requests = 0
max_context_tokens = {CONTEXT}
cache_bytes = {CACHE_BYTES}
prefill_chunk_tokens = {CHUNK}

[[serve.model]]
name = "{MODEL}"
"""


class ConfiguredBox(RunningBox):
    """A box with this configuration, over the exports that are in its root."""

    def __init__(self, root: Path, toml: str) -> None:
        super().__init__(root)
        (root / "appliance.toml").write_text(toml)

    @property
    def artefact(self) -> Path:
        return Path(self.state.default_model.artefact)

    def ask(self, **parameters: object) -> dict[str, object]:
        with self.completion(model=self.state.default_model.name, **parameters) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Hold a slot."""
        parameters = {"max_tokens": CONTEXT - 100, "stream": True, "ignore_eos": True}
        with self.completion(model=self.state.default_model.name, **parameters) as stream:
            stream.readline()
            yield

    def figures(self) -> dict[str, float]:
        """The engine's, of one moment, as Prometheus scrapes them."""
        with urllib.request.urlopen(f"http://{self.state.metrics}/metrics", timeout=LIMIT_S) as page:
            samples = parse(page.read().decode())
        return {sample.name.removeprefix("appliance_"): sample.value for sample in samples}

    def figure(self, name: str) -> float:
        return self.figures()[name]

    def figures_at_rest(self) -> dict[str, float]:
        """Those that were taken after now, with nothing running: they are written about twice a second."""
        for _ in range(2):
            before = self.figure("updated_seconds")
            wait_until(lambda: self.figure("updated_seconds") > before)  # noqa: B023 - it ends within the round
        wait_until(lambda: (found := self.figures())["slots_busy"] == found["queue_length"] == 0)
        return self.figures()


def refusal(error: urllib.error.HTTPError) -> tuple[int, str]:
    return error.code, json.load(error)["error"]["code"]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredBox]:
    """One box with a value for every key that can be seen on it, and more exports than the one that it names."""
    root = tmp_path_factory.mktemp("box")
    tiny = make_tiny_artefact(root / "exports" / TINY / "cpu-balanced", root / "scratch")
    for target, preset in (("cpu", "balanced"), (TARGET, "bf16"), (TARGET, PRESET)):
        folder = root / "exports" / MODEL / f"{target}-{preset}"
        shutil.copytree(tiny, folder)
        manifest = replace(read_manifest(tiny), model=MODEL, target=target, preset=preset)
        (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    with ConfiguredBox(root, CONFIGURATION) as running:
        yield running


@pytest.mark.triton
@row("serve.model", "serve.target", "serve.preset")
def test_the_artefact_that_is_named_is_served(box: ConfiguredBox):
    served = box.state.default_model
    assert (served.name, served.target, served.preset) == (MODEL, TARGET, PRESET)
    assert box.artefact.parent.name == MODEL
    assert box.ask(max_tokens=1)["model"] == MODEL


@pytest.mark.triton
@row("serve.http_address", "serve.grpc_address", "serve.metrics_address")
def test_it_answers_where_it_is_told_to_listen(box: ConfiguredBox):
    usual = {Config().serve.http_address, Config().serve.grpc_address, Config().serve.metrics_address}
    assert not usual & {box.state.http, box.state.grpc, box.state.metrics}
    with grpc.insecure_channel(box.state.grpc) as channel:
        listed = InferenceServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=LIMIT_S)
    assert [model.name for model in listed.models] == [MODEL]
    assert box.figure("slots") == 2
    assert box.ask(max_tokens=1)


@pytest.mark.triton
@row("serve.slots", "serve.max_queue_requests")
def test_as_many_run_as_there_are_slots_and_no_more_wait_than_may(box: ConfiguredBox):
    with box.streaming(), box.streaming():
        wait_until(lambda: box.figure("slots_busy") == 2)
        with pytest.raises(urllib.error.HTTPError) as caught:
            box.ask(max_tokens=1)
    assert refusal(caught.value) == (429, "overloaded")
    wait_until(lambda: box.figure("slots_busy") == 0)


@pytest.mark.triton
@row("serve.max_context_tokens")
def test_prompt_and_answer_together_are_no_longer_than_the_context(box: ConfiguredBox):
    with pytest.raises(urllib.error.HTTPError) as caught:
        box.ask(max_tokens=CONTEXT)
    assert refusal(caught.value) == (400, "context_length_exceeded")
    assert box.figure("max_context_tokens") == CONTEXT


@pytest.mark.triton
@row("serve.cache_bytes")
def test_the_cache_has_as_many_tokens_as_its_bytes_hold(box: ConfiguredBox):
    per_token = read_manifest(box.artefact).shape.cache_bytes_per_token
    assert box.figure("cache_tokens_total") == CACHE_BYTES // per_token


@pytest.mark.triton
@row("serve.prefill_chunk_tokens")
def test_a_prompt_takes_a_step_for_each_chunk(box: ConfiguredBox):
    before = box.figures_at_rest()
    # The tiny model has a token for each letter.
    box.ask(prompt="abc" * CHUNK, max_tokens=1)
    after = box.figures_at_rest()
    assert after["prompt_tokens_total"] - before["prompt_tokens_total"] == 3 * CHUNK
    assert after["steps_total"] - before["steps_total"] == 3


@row("serve.threads")
def test_the_engine_computes_with_as_many_threads(tmp_path: Path):
    artefact = make_tiny_artefact(tmp_path / "artefact", tmp_path / "scratch")

    def threads(toml: str) -> int:
        """How many this process has more while the engine is there."""
        before = psutil.Process().num_threads()
        engine = Engine.load(artefact, engine_settings(Config.from_text(toml, "appliance.toml").serve, None))
        try:
            return psutil.Process().num_threads() - before
        finally:
            engine.close()

    alone, many = (threads(f"[serve]\ncache_bytes = 200_000_000\nthreads = {count}") for count in (1, 5))
    assert many - alone == 4


@pytest.mark.parametrize("value", ["true", "false"])
@row("serve.speculation")
def test_drafts_are_verified_unless_they_are_switched_off(value: str):
    settings = engine_settings(Config.from_text(f"[serve]\nspeculation = {value}", "appliance.toml").serve, None)
    limits = SchedulerLimits(1, 1000, 16, 16, keep_prefixes=False)
    bench = Bench(limits, kind=ExactToyRunner, speculation=settings.speculation)
    bench.add("x", [1, 4, 2, 7, 0] * 4, max_tokens=40, ignore_eos=True)
    bench.run()
    assert bool(bench.runner.verified) == (value == "true")


@pytest.mark.triton
@row("serve.drain_s")
def test_a_running_answer_gets_the_time_that_it_is_given_at_the_end(tmp_path: Path):
    """None here; tests/cli/test_up.py lets an answer as long as this one finish."""
    box = ConfiguredBox(tmp_path, f"[serve]\n{ADDRESSES}\ncache_bytes = 200_000_000\ndrain_s = 0")
    with box, box.completion(max_tokens=3000, stream=True, ignore_eos=True) as stream:
        stream.readline()
        box.process.send_signal(signal.SIGTERM)
        events = [line.decode().strip().removeprefix("data: ") for line in stream if line.strip()]
    assert json.loads(events[-1])["error"]["code"] == "shutting_down"
