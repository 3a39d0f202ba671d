"""The mapping names only what TensorRT Edge-LLM has, and says no to what it has not. The facts are recorded ones."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.edgellm import State, mapping, probe
from appliance.edgellm.probe import KNOWN_VERSION
from appliance.errors import RequestError, UnsupportedError, UsageError
from appliance.inference.config import EngineConfig
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import Form, StructuredOutput
from tests.engine.toy import MANIFEST

SURFACE = json.loads((Path(__file__).parent / f"edgellm-{KNOWN_VERSION}.json").read_text(encoding="utf-8"))
NATIVE = SURFACE["native"]
QWEN = replace(MANIFEST, architecture="qwen2")
BUNDLE, CHECKPOINT = Path("/bundle"), Path("/checkpoint")
NOT_NEUTRAL = {
    "min_p": 0.1,
    "repetition_penalty": 1.1,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "stop_token_ids": (3,),
    "ignore_eos": True,
    "min_tokens": 1,
    "logprobs": 0,
}


def test_the_facts_are_of_the_version_that_is_known():
    assert SURFACE["version"] == KNOWN_VERSION


def test_every_sampling_parameter_is_carried_or_refused():
    fields = [field.name for field in dataclasses.fields(SamplingParams)]
    assert sorted([*mapping.CARRIED, *mapping.REFUSED]) == sorted(fields)


def test_what_carries_a_parameter_is_an_attribute_of_the_native_class():
    for attribute in mapping.CARRIED.values():
        kind, _, name = attribute.partition(".")
        assert name in NATIVE[kind], attribute


def test_a_request_sets_native_attributes_alone():
    made = mapping.request(SamplingParams(seed=7, stop=("x",), logit_bias={5: 1.0}, top_p=0.5, top_k=9), 20)
    assert made.generation.keys() <= NATIVE["LLMGenerationRequest"].keys()
    assert made.sequence.keys() <= NATIVE["Request"].keys()
    assert made.guide is None
    assert made.sequence == {"sampling_seed": 7, "stop_strings": ["x"], "logit_bias": {5: 1.0}}
    assert (made.generation["max_generate_length"], made.generation["top_p"], made.generation["top_k"]) == (20, 0.5, 9)
    carried = {attribute.partition(".")[2] for attribute in mapping.CARRIED.values()} - {"guided_decoding"}
    assert carried <= {*made.generation, *made.sequence}


@pytest.mark.parametrize("sampling", [SamplingParams(temperature=0.0, top_p=0.3), SamplingParams(top_k=1)])
def test_greedy_asks_for_the_likeliest_token(sampling: SamplingParams):
    generation = mapping.request(sampling, 5).generation
    assert (generation["top_k"], generation["top_p"]) == (1, 1.0)


@pytest.mark.parametrize("name", mapping.REFUSED)
def test_what_it_cannot_honour_is_refused_by_name(name: str):
    with pytest.raises(RequestError, match=f"{name} cannot be honoured by TensorRT Edge-LLM") as caught:
        mapping.request(SamplingParams(**{name: NOT_NEUTRAL[name]}), 5)  # type: ignore[arg-type]
    assert caught.value.param == name
    assert caught.value.hint


def test_its_own_requests_have_no_attribute_for_what_is_refused():
    attributes = {*NATIVE["LLMGenerationRequest"], *NATIVE["Request"], *SURFACE["sampling_params"]}
    assert not attributes & mapping.REFUSED.keys()


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_a_seed_that_it_has_no_room_for_is_refused(seed: int):
    with pytest.raises(RequestError, match="seed"):
        mapping.request(SamplingParams(seed=seed), 5)


@pytest.mark.parametrize(
    ("form", "member"), [(Form.JSON, "JSON_SCHEMA"), (Form.REGEX, "REGEX"), (Form.CHOICE, "CHOICE")]
)
def test_descriptions_of_text_become_its_guides(form: Form, member: str):
    made = mapping.request(SamplingParams(structured_outputs=StructuredOutput(form, "text")), 5)
    assert made.guide == (member, "text")
    assert member in NATIVE["GuideType"]
    assert "guide" in NATIVE["GuidedDecodingParams"]


def test_a_grammar_is_refused_because_its_language_is_another():
    with pytest.raises(RequestError, match="grammar") as caught:
        mapping.request(SamplingParams(structured_outputs=StructuredOutput(Form.GRAMMAR, 'start: "a"')), 5)
    assert caught.value.param == "structured_outputs"


def test_the_engine_s_arguments_are_those_of_its_constructor():
    arguments = mapping.engine_arguments(QWEN, EngineConfig(slots=5, max_queue=9), BUNDLE, CHECKPOINT)
    signature = NATIVE["RequestEngine"]["__init__"]
    assert arguments == {
        "engine_dir": "/bundle",
        "checkpoint_dir": "/checkpoint",
        "max_batch_size": 5,
        "max_pending_requests": 9,
    }
    for name in arguments:
        assert f" {name}: " in signature


def test_the_build_has_the_engine_s_context_and_slots():
    command = mapping.build_command(QWEN, EngineConfig(slots=5, max_context_tokens=64), BUNDLE, CHECKPOINT)
    assert command[0] == "tensorrt-edgellm-build"
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options.keys() <= set(SURFACE["build_flags"])
    assert options["--max-kv-cache-capacity"] == options["--max-input-len"] == "64"
    assert (options["--max-batch-size"], options["--model-dir"], options["--engine-dir"]) == (
        "5",
        "/checkpoint",
        "/bundle",
    )


def test_a_configuration_that_does_not_fit_the_model_is_refused():
    with pytest.raises(UsageError, match="is not possible"):
        mapping.build_command(QWEN, EngineConfig(max_context_tokens=1 << 20), BUNDLE, CHECKPOINT)


def test_an_architecture_that_it_does_not_know_is_refused():
    assert set(mapping.MODEL_TYPES) <= set(SURFACE["model_folders"])
    for ask in (mapping.engine_arguments, mapping.build_command):
        with pytest.raises(UnsupportedError, match="toy"):
            ask(MANIFEST, EngineConfig(), BUNDLE, CHECKPOINT)


def test_what_keeps_it_from_standing_behind_the_engine_s_seam_is_still_so():
    """When this fails on a newer record, docs/jetson.md's list of what is left has become shorter."""
    media = {"audio_buffers", "image_buffers"}
    told = {attribute.partition(".")[2] for attribute in mapping.CARRIED.values()}
    # Messages of text are the only way in for a prompt.
    assert NATIVE["Request"].keys() - media - told == {"__init__", "messages"}
    assert not [name for name in NATIVE["LLMGenerationRequest"] if "salt" in name or "tenant" in name]
    assert "numpy<3,>=2.2.6" in SURFACE["requires"]


def test_the_page_has_the_mapping():
    page = Path(__file__).parents[2] / "docs" / "jetson.md"
    assert mapping.reference() in page.read_text(encoding="utf-8")


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_edgellm") is None,
    reason="tensorrt-edgellm is not installed beside the tests: it needs numpy 2.2.6 or newer",
)
def test_the_installed_package_is_as_recorded():
    server: Any = importlib.import_module("experimental.server")
    assert sorted(inspect.signature(server.LLM).parameters) == sorted(SURFACE["llm_arguments"])
    assert {field.name for field in dataclasses.fields(server.SamplingParams)} == set(SURFACE["sampling_params"])
    found = probe(Path(sys.executable))
    assert found.version == KNOWN_VERSION
    assert found.state is State.LOADS or "Error" in found.reason
