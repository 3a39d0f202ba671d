"""The engines to measure, each with its worker, interpreter and weight format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.environments import OWN, PEERS, Environment
from export.presets import DEFAULT, PRECISE


@dataclass(frozen=True)
class Engine:
    """One engine, a column of the tables.

    Attributes:
        key: its name on the command line and in the results.
        title: name in the tables.
        module: module of the worker.
        environment: environment of its interpreter.
        packages: packages that must be installed there.
        note: what a reader of its figures needs to know.
        preset: only for our engine: preset of the served artefact.
        weight_format: only for peers: see `PeerModels.weights`.
        properties: only for peers: properties of their runtime, by name.
        quality_of: key of the engine with the same weights and arithmetic, whose quality counts; empty: its own.
    """

    key: str
    title: str
    module: str
    environment: Environment
    packages: tuple[str, ...]
    note: str
    preset: str = ""
    weight_format: str = ""
    properties: Mapping[str, int] = field(default_factory=dict)
    quality_of: str = ""

    @property
    def gives_logits(self) -> bool:
        """Whether the quality of what it computes can be measured here."""
        return bool(self.weight_format) or self.module == _OURS


_OURS = "bench.workers.engine"
ENGINE = Engine(
    key="engine",
    title="appliance: engine",
    module=_OURS,
    environment=OWN,
    packages=("onnxruntime",),
    preset=DEFAULT,
    note=f"the engine in one process, which also decodes tokens to text, as in service; preset {DEFAULT}, the default",
)
WHOLE_PATH = Engine(
    key="whole-path",
    title="appliance: whole path",
    module="bench.workers.whole_path",
    environment=OWN,
    packages=("onnxruntime",),
    preset=DEFAULT,
    note=(
        "the same preset with `appliance up`, HTTP streaming through gateway and Triton; the client uses the same "
        "cores as the server; memory is the sum over all processes, and counts shared pages more than once"
    ),
    quality_of=ENGINE.key,
)
PRECISE_ENGINE = Engine(
    key="engine-precise",
    title="appliance: engine, precise",
    module=ENGINE.module,
    environment=OWN,
    packages=ENGINE.packages,
    preset=PRECISE.name,
    note=f"like the first, with preset {PRECISE.name}: the settings of ORT GenAI int8",
)
LLAMA = Engine(
    key="llama.cpp",
    title="llama.cpp",
    module="bench.workers.llama",
    environment=PEERS,
    packages=("llama-cpp-python", "numpy"),
    weight_format="gguf",
    note="the published GGUF file; one batch per step through the C API, like its server; 16-bit cache",
)
OPENVINO_INT8 = Engine(
    key="openvino-int8",
    title="OpenVINO GenAI int8",
    module="bench.workers.openvino",
    environment=PEERS,
    packages=("openvino-genai", "openvino", "nncf", "numpy"),
    weight_format="openvino-int8",
    note="continuous batching; NNCF int8 per channel, its default; other settings: the plugin's defaults",
)
OPENVINO_GROUPS = Engine(
    key="openvino-int8-groups",
    title="OpenVINO GenAI int8, groups of 128",
    module="bench.workers.openvino",
    environment=PEERS,
    packages=OPENVINO_INT8.packages,
    weight_format="openvino-int8",
    properties={"DYNAMIC_QUANTIZATION_GROUP_SIZE": 128},
    note=(
        "the same weights; the plugin quantises activations in groups of 128 instead of 32: the fastest setting "
        "that we found"
    ),
)
OPENVINO_LOOKUP = Engine(
    key="openvino-int8-lookup",
    title="OpenVINO GenAI int8, groups of 128, prompt lookup",
    module="bench.workers.openvino",
    environment=PEERS,
    packages=OPENVINO_INT8.packages,
    weight_format="openvino-int8",
    properties={**OPENVINO_GROUPS.properties, "prompt_lookup": True},
    quality_of=OPENVINO_GROUPS.key,
    note="the same with at most 5 tokens drafted from the prompt in each step",
)
OPENVINO_INT4 = Engine(
    key="openvino-int4",
    title="OpenVINO GenAI int4",
    module="bench.workers.openvino",
    environment=PEERS,
    packages=OPENVINO_INT8.packages,
    weight_format="openvino-int4",
    note="the same with int4 in groups of 64, embedding and head in int8: compare its KL",
)
ORT_INT8 = Engine(
    key="ort-genai-int8",
    title="ORT GenAI int8",
    module="bench.workers.ortgenai",
    environment=PEERS,
    packages=("onnxruntime-genai", "numpy"),
    weight_format="ort-genai-int8",
    note=(
        "the Model Builder's graph in int8 with blocks of 64, like our precise preset; static batches that no new "
        "request can join"
    ),
)
ORT_INT4 = Engine(
    key="ort-genai-int4",
    title="ORT GenAI int4",
    module="bench.workers.ortgenai",
    environment=PEERS,
    packages=ORT_INT8.packages,
    weight_format="ort-genai-int4",
    note="the Model Builder's default (int4, blocks of 32): compare its KL",
)

ORT_K_QUANT = Engine(
    key="ort-genai-k-quant",
    title="ORT GenAI int4, k-quant",
    module=ORT_INT4.module,
    environment=PEERS,
    packages=ORT_INT4.packages,
    weight_format="ort-genai-k-quant",
    note="the Model Builder's int4, blocks of 32, quantised by k-quant",
)

MAIN_ENGINES = (
    ENGINE, WHOLE_PATH, PRECISE_ENGINE, LLAMA, OPENVINO_INT8, OPENVINO_GROUPS, OPENVINO_INT4, ORT_INT8, ORT_INT4
)  # fmt: skip
# Tasks and arriving requests: without the configurations that cannot be the fastest within the limit of KL.
USE_ENGINES = (ENGINE, WHOLE_PATH, LLAMA, OPENVINO_INT8, OPENVINO_GROUPS, OPENVINO_LOOKUP, ORT_INT8)
# Prompts of thousands of tokens take long: the fastest configurations only.
LONG_ENGINES = (ENGINE, LLAMA, OPENVINO_INT8, OPENVINO_GROUPS)
ENGINES = (*MAIN_ENGINES, OPENVINO_LOOKUP)
