"""Log-probabilities in the form of Triton's vLLM backend, there and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inference import logprobs
from appliance.inference.events import TokenLogprob

TOKENS = st.builds(
    lambda chosen, top: TokenLogprob(
        chosen, dict(top).get(chosen, -99.0), tuple(sorted(top.items(), key=lambda pair: -pair[1]))
    ),
    st.integers(0, 50),
    st.dictionaries(st.integers(0, 50), st.floats(-90, 0), max_size=20),
)


@given(st.lists(TOKENS, max_size=4))
def test_what_is_written_is_read_again(tokens):
    text = logprobs.write(tokens, str)
    found = logprobs.read([token.token_id for token in tokens], text)
    assert [(one.token_id, one.logprob) for one in found] == [(one.token_id, one.logprob) for one in tokens]
    assert [dict(one.top) for one in found] == [dict(one.top) for one in tokens]
    assert all(
        [value for _, value in one.top] == sorted((value for _, value in one.top), reverse=True) for one in found
    )


def test_it_is_the_form_of_the_vllm_backend():
    written = json.loads(logprobs.write([TokenLogprob(7, -3.0, ((5, -0.5), (6, -1.0)))], "t{}".format))
    assert written == [
        {
            "5": {"logprob": -0.5, "rank": 1, "decoded_token": "t5"},
            "6": {"logprob": -1.0, "rank": 2, "decoded_token": "t6"},
            "7": {"logprob": -3.0, "rank": None, "decoded_token": "t7"},
        }
    ]


@pytest.mark.parametrize("text", ["[]", '[{"8": {"logprob": 1}}]', "[7]", "{", '[{"7": {}}]', '[{"7": 1}]'])
def test_another_form_is_an_error(text):
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        logprobs.read([7], text)
