"""What the gateway reads from the model's tensors, whichever backend wrote them."""

import pytest

from appliance.errors import EngineError
from appliance.gateway.triton import tensors as triton_tensors
from appliance.inference.events import TokenLogprob, Usage
from tests.gateway.fake_triton import piece
from tests.refusals import refused

COUNTS = {"prompt_tokens": 7, "cached_tokens": 2, "completion_tokens": 3}


def read(**usage):
    return triton_tensors.delta(piece("x", [1], finish="stop", usage=usage or None).infer_response, iter(()))


@pytest.mark.parametrize("stop_reason", ["END", 17, None])
def test_the_last_piece_tells_what_ended_it_and_how_long_it_took(stop_reason):
    delta = read(**COUNTS, queue_s=0.5, prefill_s=0.25, decode_s=2.0, stop_reason=stop_reason)
    assert delta.usage == Usage(7, 2, 3, 0.5, 0.25, 2.0)
    assert delta.stop_reason == stop_reason


def test_the_last_piece_tells_the_tokens_of_drafts():
    usage = read(**COUNTS, accepted_draft_tokens=4, rejected_draft_tokens=1).usage
    assert (usage.accepted_draft_tokens, usage.rejected_draft_tokens) == (4, 1)


def test_another_backend_need_not_tell_more_than_the_counts():
    delta = read(**COUNTS)
    assert (delta.usage, delta.stop_reason) == (Usage(7, 2, 3), None)


def test_scores_belong_to_the_next_tokens_of_the_prompt():
    prompt = iter([5, 6, 7])
    first = piece("", prompt_logprobs=[{"5": {"logprob": -1.0, "rank": 2}, "9": {"logprob": -0.5, "rank": 1}}])
    second = piece("", prompt_logprobs=[{"6": {"logprob": -2.0, "rank": 40}}])
    found = [triton_tensors.delta(one.infer_response, prompt).prompt_logprobs for one in (first, second)]
    assert found == [
        (TokenLogprob(5, -1.0, ((9, -0.5), (5, -1.0)), 2),),
        (TokenLogprob(6, -2.0, ((6, -2.0),), 40),),
    ]
    assert list(prompt) == [7]


def test_more_scores_than_the_prompt_has_tokens_are_the_engines_fault():
    answer = piece("", prompt_logprobs=[{"5": {"logprob": -1.0, "rank": 2}}] * 2)
    with refused(EngineError, "form"):
        triton_tensors.delta(answer.infer_response, iter([5]))


def test_a_piece_without_usage_has_none():
    assert read().usage is None


def test_usage_in_another_form_is_the_engines_fault():
    with refused(EngineError, "form"):
        read(prompt_tokens=1)
