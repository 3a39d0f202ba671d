"""Log-probabilities of a prompt are those of the lone prompt, whatever runs beside it, is cached or is set back."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.engine.admission import check_request
from appliance.engine.exactness import LARGEST_TILE, chunk_rows, longest_chunk
from appliance.engine.request import Request
from appliance.engine.runner import MAX_SCORED_ROWS
from appliance.engine.sequence import Sequence
from appliance.engine.stream import Stream
from appliance.errors import EngineError, RequestError
from appliance.inference.events import FinishEvent, FinishReason, PromptEvent, TokenEvent
from appliance.inference.sampling import MAX_PROMPT_FIGURES, SamplingParams
from tests.engine.core_bench import ALL_LIMITS, Bench, prompts
from tests.engine.host_logits import HostLogits
from tests.engine.toy import END, TOKENIZER, TOKENS, Recorder, ToyRunner, greedy_reference, scores_reference

PROMPT = [(7 * number) % 90 for number in range(50)]


def check_scores(sink, prompt, alternatives):
    expected = scores_reference(prompt)
    assert [score.token_id for score in sink.scores] == list(prompt[1:])
    assert [score.logprob for score in sink.scores] == pytest.approx([logprob for logprob, _ in expected], abs=1e-5)
    assert [score.rank for score in sink.scores] == [rank for _, rank in expected]
    for score in sink.scores:
        assert len(score.top) == alternatives
        assert score.top == tuple(sorted(score.top, key=lambda pair: -pair[1]))
        if score.rank <= alternatives:
            assert score.top[score.rank - 1] == (score.token_id, score.logprob)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    asked=st.lists(st.tuples(prompts(), st.none() | st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=8),
    limits=ALL_LIMITS,
)
def test_scores_and_answers_are_those_of_a_lone_request(asked, limits):
    bench = Bench(limits)
    for index, (prompt, wanted, max_tokens) in enumerate(asked):
        bench.add(str(index), prompt, prompt_logprobs=wanted, max_tokens=max_tokens)
        bench.step()
    bench.run()
    for index, (prompt, wanted, max_tokens) in enumerate(asked):
        sink = bench.sinks[str(index)]
        assert sink.tokens == (greedy_reference(prompt, max_tokens) if max_tokens else [])
        if wanted is None:
            assert sink.scores == []
        else:
            check_scores(sink, prompt, wanted)


@pytest.mark.parametrize("max_tokens", [0, 3])
def test_a_cached_prefix_is_not_reused_where_its_logits_are_asked_for(max_tokens):
    bench = Bench()
    bench.add("first", PROMPT)
    bench.run()
    sink = bench.add("second", PROMPT, prompt_logprobs=1, max_tokens=max_tokens)
    bench.run()
    assert sink.finish.usage.cached_tokens == 0
    check_scores(sink, PROMPT, 1)


def test_later_prompts_reuse_the_rows_that_were_scored():
    bench = Bench()
    bench.add("scored", PROMPT, prompt_logprobs=0, max_tokens=0)
    bench.run()
    later = bench.add("later", PROMPT)
    bench.run()
    assert later.finish.usage.cached_tokens > 0
    assert later.tokens == greedy_reference(PROMPT, 8)


def test_scores_come_before_tokens_and_in_chunks_that_are_bounded():
    bench = Bench()
    sink = bench.add("x", PROMPT, prompt_logprobs=2)
    bench.run()
    kinds = [type(event) for event in sink.events]
    assert kinds == sorted(kinds, key=[PromptEvent, TokenEvent, FinishEvent].index)
    assert max(len(event.logprobs) for event in sink.events if isinstance(event, PromptEvent)) <= MAX_SCORED_ROWS
    assert all(start % LARGEST_TILE == 0 for _, start, _ in (*bench.runner.scored, *bench.runner.chunks))


def test_a_request_without_tokens_ends_when_its_prompt_is_computed():
    bench = Bench()
    sink = bench.add("x", PROMPT, max_tokens=0)
    bench.run()
    assert sink.finish.reason is FinishReason.LENGTH
    assert (sink.finish.usage.prompt_tokens, sink.finish.usage.completion_tokens) == (len(PROMPT), 0)
    assert [type(event) for event in sink.events] == [FinishEvent]


def test_a_prompt_of_one_token_has_no_scores():
    bench = Bench()
    sink = bench.add("x", [5], prompt_logprobs=1)
    bench.run()
    assert sink.scores == []
    assert sink.tokens == greedy_reference([5], 8)


def test_a_request_that_is_cancelled_while_it_is_scored_stops():
    bench = Bench()
    sink = bench.add("x", PROMPT, prompt_logprobs=1)
    bench.step()
    bench.step(["x"])
    bench.run()
    assert sink.finish.reason is FinishReason.CANCELLED
    assert 0 < len(sink.scores) < len(PROMPT) - 1


class Broken(ToyRunner):
    def score(self, slot, start, tokens):
        logits = super().score(slot, start, tokens).rows(range(len(tokens)))
        logits[-1, 3] = np.nan
        return HostLogits(logits)


def test_logits_that_are_not_finite_end_the_request_and_no_other():
    bench = Bench(kind=Broken)
    scored = bench.add("scored", PROMPT, prompt_logprobs=1)
    other = bench.add("other", PROMPT)
    bench.run()
    assert scored.finish.reason is FinishReason.ERROR
    assert isinstance(scored.finish.error, EngineError)
    assert other.tokens == greedy_reference(PROMPT, 8)


class Unable(ToyRunner):
    scorer = None


def test_a_runner_that_cannot_score_refuses_by_name():
    request = Request("x", (1, 2), SamplingParams(prompt_logprobs=0))
    with pytest.raises(RequestError) as caught:
        check_request(request, tokens=TOKENS, max_context_tokens=50, can_score=Unable.scorer is not None)
    assert caught.value.param == "prompt_logprobs"


def test_more_figures_than_an_answer_may_have_are_refused():
    most = MAX_PROMPT_FIGURES // 21
    for length, is_refused in ((most, False), (most + 1, True)):
        request = Request("x", (1,) * length, SamplingParams(prompt_logprobs=20))
        if is_refused:
            with pytest.raises(RequestError, match=str(most)):
                check_request(request, tokens=TOKENS, max_context_tokens=1 << 20)
        else:
            check_request(request, tokens=TOKENS, max_context_tokens=1 << 20)


@given(rows=st.integers(LARGEST_TILE + LARGEST_TILE // 4, 200), missing=st.integers(1, 1000))
def test_a_chunk_has_at_most_the_rows_that_are_scored_in_a_step(rows, missing):
    assert longest_chunk(rows) >= LARGEST_TILE
    assert chunk_rows(missing, longest_chunk(rows)) <= rows


def test_a_sink_that_fails_ends_the_scoring():
    bench = Bench()
    request = Request("x", tuple(PROMPT), SamplingParams(prompt_logprobs=0, max_tokens=4))

    def sink(event):
        recorder(event)
        raise ValueError

    recorder = Recorder()
    sequence = Sequence(request, order=1, max_tokens=4, now=0.0)
    bench.sequences["x"], bench.sinks["x"] = sequence, recorder
    bench.core.add(Stream(sequence, sink, TOKENIZER, (END,)))
    bench.run()
    assert bench.finished == ["x"]
    assert len(recorder.events) == 1
