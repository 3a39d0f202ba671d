"""Sampling settings: what is out of range is refused by name, what vLLM's clients send is understood."""

import math

import pytest

from appliance.errors import RequestError
from appliance.inference.sampling import SamplingParams
from tests.refusals import refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", -1),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", -2),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", math.nan),
        ("min_p", -0.1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", math.inf),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("logit_bias", {5: 101.0}),
        ("logit_bias", {5: math.nan}),
        ("logit_bias", {-1: 1.0}),
        ("logit_bias", {10**400: 1.0}),
        ("stop_token_ids", (-1,)),
        ("stop_token_ids", (10**400,)),
        ("logit_bias", dict.fromkeys(range(1025), 1.0)),
        ("stop", ("x",) * 17),
        ("stop", ("",)),
        ("stop", ("x" * 1025,)),
        ("stop_token_ids", tuple(range(129))),
        ("min_tokens", -1),
        ("min_tokens", 10**400),
        ("max_tokens", 10**400),
        ("top_k", 10**400),
        ("temperature", 1e7),
        ("repetition_penalty", 1e-7),
        ("seed", 10**400),
        ("seed", -(10**400)),
        ("logprobs", -1),
        ("logprobs", 21),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(name, value):
    with pytest.raises(RequestError) as caught:
        SamplingParams(**{name: value})
    assert caught.value.param == name


def test_min_tokens_beyond_max_tokens_is_refused():
    with refused(RequestError, "min_tokens 5", "max_tokens 4"):
        SamplingParams(min_tokens=5, max_tokens=4)


def test_values_at_the_edges_of_their_ranges_are_accepted():
    SamplingParams(max_tokens=1, temperature=0.0, top_p=1.0, min_p=1.0, presence_penalty=-2.0, frequency_penalty=2.0)
    SamplingParams(logprobs=20, stop=("x",) * 16, logit_bias={0: -100.0}, min_tokens=0)


def test_the_form_of_triton_s_vllm_backend_is_read():
    sent = {"temperature": "0.1", "top_p": "0.95", "max_tokens": "100", "top_k": -1, "stop": "\n", "ignore_eos": "true"}
    assert SamplingParams.from_mapping(sent) == SamplingParams(
        temperature=0.1, top_p=0.95, max_tokens=100, top_k=0, stop=("\n",), ignore_eos=True
    )


def test_json_forms_are_read():
    sent = {"stop": ["a", "b"], "stop_token_ids": [1, 2], "logit_bias": {"7": 1}, "seed": 3.0, "logprobs": None}
    assert SamplingParams.from_mapping(sent) == SamplingParams(
        stop=("a", "b"), stop_token_ids=(1, 2), logit_bias={7: 1.0}, seed=3
    )


def test_an_unknown_key_is_refused_by_name():
    with refused(RequestError, "temprature") as caught:
        SamplingParams.from_mapping({"temprature": 1.0})
    assert caught.value.param == "temprature"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "warm"),
        ("temperature", [1.0]),
        ("temperature", True),
        ("temperature", math.nan),
        ("max_tokens", 1.5),
        ("max_tokens", math.inf),
        ("max_tokens", {}),
        ("max_tokens", True),
        ("seed", "x"),
        ("stop", 5),
        ("stop", [5]),
        ("stop_token_ids", "12"),
        ("logit_bias", [1]),
        ("logit_bias", {"x": 1}),
        ("ignore_eos", "perhaps"),
        ("ignore_eos", [True]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_named(name, value):
    with pytest.raises(RequestError) as caught:
        SamplingParams.from_mapping({name: value})
    assert caught.value.param == name
