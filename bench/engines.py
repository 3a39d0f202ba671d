"""The engines that are measured, one row each: which worker, which interpreter, which form of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from bench.environments import OWN, PEERS, Environment


@dataclass(frozen=True)
class Engine:
    """One column of the tables.

    Attributes:
        key: its name on the command line and in the results.
        title: for people.
        module: the worker.
        environment: whose interpreter runs it.
        packages: what must be installed there.
        form: the form of the weights, see `PeerModels.form`.
        note: what a reader of its figures must know.
        gives_logits: its quality is measured here; else it is that of the artefact's own report.
    """

    key: str
    title: str
    module: str
    environment: Environment
    packages: tuple[str, ...]
    form: str
    note: str
    gives_logits: bool = True


ENGINE = Engine(
    key="engine",
    title="appliance: engine",
    module="bench.workers.engine",
    environment=OWN,
    packages=("onnxruntime",),
    form="artefact",
    note="the artefact of the default preset, the engine in one process; its threads detokenise as in service",
    gives_logits=False,
)
WHOLE_PATH = Engine(
    key="whole-path",
    title="appliance: whole path",
    module="bench.workers.whole_path",
    environment=OWN,
    packages=("onnxruntime",),
    form="artefact",
    note=(
        "`appliance up`, HTTP streaming through gateway and Triton; the client shares the cores with the server; "
        "memory is the sum over the processes, in which pages that they share count more than once"
    ),
    gives_logits=False,
)
LLAMA = Engine(
    key="llama.cpp",
    title="llama.cpp",
    module="bench.workers.llama",
    environment=PEERS,
    packages=("llama-cpp-python", "numpy"),
    form="gguf",
    note="the GGUF file as published; one batch a step through the C API, as its server does; cache in 16 bits",
)
OPENVINO_INT8 = Engine(
    key="openvino-int8",
    title="OpenVINO GenAI int8",
    module="bench.workers.openvino",
    environment=PEERS,
    packages=("openvino-genai", "openvino", "nncf", "numpy"),
    form="openvino-int8",
    note="continuous batching; NNCF int8 by channel, its default; the plugin's own defaults otherwise",
)
OPENVINO_INT4 = Engine(
    key="openvino-int4",
    title="OpenVINO GenAI int4",
    module="bench.workers.openvino",
    environment=PEERS,
    packages=OPENVINO_INT8.packages,
    form="openvino-int4",
    note="likewise, int4 in groups of 64 with embedding and head in int8: see its KL",
)
ORT_INT8 = Engine(
    key="ort-genai-int8",
    title="ORT GenAI int8",
    module="bench.workers.ortgenai",
    environment=PEERS,
    packages=("onnxruntime-genai", "numpy"),
    form="ort-genai-int8",
    note="the Model Builder's graph with our preset's settings (int8, blocks of 128); static batches, no newcomers",
)
ORT_INT4 = Engine(
    key="ort-genai-int4",
    title="ORT GenAI int4",
    module="bench.workers.ortgenai",
    environment=PEERS,
    packages=ORT_INT8.packages,
    form="ort-genai-int4",
    note="the Model Builder's default (int4, blocks of 32): see its KL",
)

ENGINES = (ENGINE, WHOLE_PATH, LLAMA, OPENVINO_INT8, OPENVINO_INT4, ORT_INT8, ORT_INT4)
# Prompts of thousands of tokens take long: one engine of each make.
LONG_ENGINES = (ENGINE, LLAMA, OPENVINO_INT8)
