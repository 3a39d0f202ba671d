"""One run on a GPU: for each shape and preset, builds a graph with random weights and times the engine's runner."""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from appliance.artefact.manifest import ORT_CPU, TENSORRT, Generation, Manifest, TextGeneration
from appliance.engine.runners import open_runner
from appliance.errors import ApplianceError
from appliance.gpu import Gpu, find_gpu
from appliance.inference.config import EngineConfig
from appliance.tensorrt.plan_key import Profile
from bench.gpu.measure import decode_step_s, prefill_s
from bench.gpu.plan import build_plan
from bench.gpu.random_checkpoint import RandomCheckpoint
from bench.gpu.rates import measure_rates
from bench.gpu.results import Measured, page
from bench.gpu.shapes import SHAPES, TOKENS
from bench.machine import describe_machine
from export.architecture import Architecture, describe
from export.holdings import Sizes
from export.model_shape import model_shape
from export.pipeline import LOWERINGS
from export.presets import PRESETS, REFERENCE, Preset

# The presets for GPUs.
GPU_PRESETS = tuple(name for name, preset in PRESETS.items() if preset.runtime != ORT_CPU)
_PEER = Path(__file__).resolve().parent.parent / "workers" / "transformers_static.py"
_MATRIX = 2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """The settings of the measurements.

    Attributes:
        streams: numbers of concurrently decoding sequences, with one timing each.
        context: rows in each slot before a step.
        prompt: tokens of the long prompt.
        chunk: prompt tokens per prefill step.
        steps: number of timed steps of each kind.
        peer_python: a Python with torch and transformers; None omits the peer.
        peer_device, peer_dtype: device and type of the peer.
    """

    streams: tuple[int, ...] = (1, 8, 64)
    context: int = 512
    prompt: int = 4096
    chunk: int = 1024
    steps: int = 50
    peer_python: str | None = None
    peer_device: str = "cuda"
    peer_dtype: str = "bfloat16"


_QUICK_SHAPE = {**SHAPES["Qwen3-0.6B"], "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
_QUICK_WORK = Work(streams=(1, 2), context=8, prompt=32, chunk=16, steps=2)


def full_run(shapes: Sequence[str], presets: Sequence[str], peer_python: str | None, say: Say) -> str:
    """Measure shapes with presets on the first GPU; returns the page.

    Raises:
        ApplianceError: there is no usable GPU.
    """
    found = find_gpu()
    work = Work(peer_python=peer_python)
    rates = measure_rates("cuda", elements=1 << 30, side=8192)
    measured = [
        measure(shape, SHAPES[shape], TOKENS, preset, work, found, say) for shape in shapes for preset in presets
    ]
    machine = {
        "GPU": found.name,
        "compute capability": found.compute_capability,
        "memory of the GPU": f"{found.memory_bytes / 1e9:.0f} GB",
        "driver": f"CUDA {found.driver_version}",
        "ONNX Runtime": version("onnxruntime-gpu"),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        **describe_machine(),
    }
    return page(machine, rates, _told(work), measured)


def quick_run(say: Say) -> str:
    """Run the same code with a tiny shape on the CPU; returns the page."""
    rates = measure_rates("cpu", elements=1 << 20, side=128)
    measured = measure("tiny", _QUICK_SHAPE, 1000, REFERENCE.name, _QUICK_WORK, None, say)
    return page(describe_machine(), rates, _told(_QUICK_WORK), [measured])


def measure(
    name: str, config: Mapping[str, Any], tokens: int, preset: str, work: Work, found: Gpu | None, say: Say
) -> Measured:
    """Measure one shape with one preset; after a failure, the result contains the reason.

    Args:
        name: the shape's name.
        config: its configuration with Hugging Face's keys.
        tokens: number of the tokenizer's tokens.
        preset: the preset's name.
        work: see Work.
        found: the GPU; None on the CPU.
        say: receives one line for each step.
    """
    say(f"{name}, {preset}: building")
    checkpoint = RandomCheckpoint(config)
    architecture = describe(config)
    chosen = PRESETS[preset]
    sizes = Sizes.of(checkpoint, architecture, chosen)
    decode: dict[int, float] = {}
    prefill: float | None = None
    why_not = ""
    with tempfile.TemporaryDirectory(prefix="appliance-bench-") as temporary:
        folder = Path(temporary) / "graph"
        folder.mkdir()
        try:
            LOWERINGS[chosen.runtime](checkpoint, architecture, chosen, tokens, folder, lambda _done, _total: None)
            manifest = manifest_of(name, architecture, chosen, tokens)
            slots, capacity = max(work.streams), max(work.prompt, work.context + 2 * work.steps)
            cache_bytes = slots * capacity * manifest.shape.cache_bytes_per_token
            engine = EngineConfig(slots=slots, cache_bytes=cache_bytes, prefill_chunk_tokens=work.chunk)
            if chosen.runtime == TENSORRT and found is not None:
                say(f"{name}, {preset}: building the plan")
                profile = Profile(slots=slots, context_tokens=capacity, chunk_tokens=work.chunk)
                plan = build_plan(folder, folder.with_name("engines"), manifest, found, profile, say)
                engine = replace(engine, plan=str(plan))
            runner = open_runner(folder, manifest, slots=slots, capacity=capacity, config=engine)
            for streams in work.streams:
                say(f"{name}, {preset}: decoding {streams}")
                decode[streams] = decode_step_s(runner, streams, work.context, work.steps, tokens)
            say(f"{name}, {preset}: a prompt of {work.prompt}")
            prompt = [number % tokens for number in range(work.prompt)]
            prefill = prefill_s(runner, prompt, work.chunk, max(1, work.steps // 10), tokens)
        except ApplianceError as error:
            why_not = str(error)
    return Measured(
        shape=name,
        preset=preset,
        decode_s=decode,
        step_bytes={n: sizes.read_bytes + n * work.context * sizes.cache_bytes_per_token for n in work.streams},
        prefill_s=prefill,
        prefill_flops=_matrix_flops(checkpoint, architecture, work.prompt),
        peer_tokens_per_s=_peer(config, work, say) if work.peer_python else {},
        why_not=why_not,
    )


def _told(work: Work) -> Mapping[str, int]:
    return {"context": work.context, "prompt": work.prompt, "steps": work.steps}


def manifest_of(name: str, architecture: Architecture, preset: Preset, tokens: int) -> Manifest:
    """The manifest that the runner needs; it is never written."""
    shape = model_shape(architecture, tokens, preset.activations)
    return Manifest(
        name,
        "bench",
        preset.name,
        architecture.name,
        TextGeneration(shape, Generation(())),
        (),
        {},
        runtime=preset.runtime,
    )


def _matrix_flops(checkpoint: RandomCheckpoint, architecture: Architecture, prompt: int) -> float:
    """Two operations for each layer weight and token, plus the attention's products under the causal mask."""
    weights = sum(
        math.prod(checkpoint.shape(tensor))
        for tensor in checkpoint.names()
        if len(checkpoint.shape(tensor)) == _MATRIX and tensor not in {architecture.embedding, architecture.head}
    )
    attended = sum(2 * layer.attention.query_width * prompt**2 for layer in architecture.layers)
    return 2.0 * weights * prompt + attended


def _peer(config: Mapping[str, Any], work: Work, say: Say) -> Mapping[int, float]:
    say("transformers with a static cache and torch.compile")
    wanted = {
        "config": dict(config),
        "streams": work.streams,
        "context": work.context,
        "steps": work.steps,
        "device": work.peer_device,
        "dtype": work.peer_dtype,
    }
    command = [str(work.peer_python), str(_PEER), json.dumps(wanted)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        say(f"it failed: {ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else ended.returncode}")
        return {}
    found: Mapping[str, float] = json.loads(ended.stdout.splitlines()[-1])["tokens_per_s"]
    return {int(streams): rate for streams, rate in found.items()}
