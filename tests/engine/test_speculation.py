"""With and without drafts: the same tokens, texts, log-probabilities and ends, in fewer steps."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import EngineError
from appliance.inference.events import FinishReason, TokenEvent
from appliance.inference.structured_output import StructuredOutput
from tests.engine.core_bench import ALL_LIMITS, LIMITS, Bench, prompts
from tests.engine.toy import END, SHAPE, ExactToyRunner, greedy_reference

ROOMY = replace(LIMITS, budget_rows=1000)
# The toy model usually continues 1, 4, 2, 7, 0, 1, ...
LOOP = (1, 4, 2, 7, 0) * 3


@dataclass(frozen=True)
class Asked:
    arrives: int
    prompt: tuple
    options: tuple


SAMPLING = st.fixed_dictionaries(
    {"max_tokens": st.integers(1, 40), "temperature": st.sampled_from([0.0, 0.2, 0.8]), "seed": st.integers(0, 99)},
    optional={
        "top_p": st.sampled_from([0.3, 0.9]),
        "top_k": st.integers(1, 50),
        "min_p": st.sampled_from([0.05, 0.5]),
        "presence_penalty": st.floats(-1, 1),
        "frequency_penalty": st.floats(-1, 1),
        "repetition_penalty": st.sampled_from([0.9, 1.2]),
        "logit_bias": st.dictionaries(st.integers(0, 10), st.floats(-3, 3), max_size=3),
        "logprobs": st.integers(0, 5),
        "min_tokens": st.integers(0, 5),
        "ignore_eos": st.booleans(),
        "stop": st.lists(st.text("!\"#$%&'()*+", min_size=1, max_size=4), min_size=1, max_size=2).map(tuple),
        "stop_token_ids": st.lists(st.integers(0, 10), max_size=1).map(tuple),
    },
).map(lambda options: {**options, "min_tokens": min(options.get("min_tokens", 0), options["max_tokens"])})
LOOPS = st.integers(1, 30).map(lambda length: (LOOP * 2)[:length])
ASKED = st.builds(
    Asked,
    arrives=st.integers(0, 20),
    prompt=LOOPS | prompts(),
    options=SAMPLING.map(lambda options: tuple(options.items())),
)


def answers(asked, limits, *, speculation, cancelled=()):
    """Each request's tokens, text, log-probabilities, reason and usage; and the bench."""
    bench = Bench(limits, kind=ExactToyRunner, speculation=speculation)
    for tick in range(21):
        for index, each in enumerate(asked):
            if each.arrives == tick:
                bench.add(str(index), each.prompt, **dict(each.options))
        bench.step(cancelled if tick == 20 else ())
    bench.run()
    found = []
    for index in range(len(asked)):
        sink = bench.sinks[str(index)]
        logprobs = [event.logprobs for event in sink.events if isinstance(event, TokenEvent)]
        finish = sink.finish
        counts = (finish.usage.prompt_tokens, finish.usage.completion_tokens)
        found.append((sink.tokens, sink.text, logprobs, finish.reason, finish.stop_reason, counts))
    return found, bench


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=st.lists(ASKED, min_size=1, max_size=6), limits=ALL_LIMITS)
def test_every_answer_is_that_without_drafts(asked, limits):
    with_drafts, bench = answers(asked, limits, speculation=True)
    without, plain = answers(asked, limits, speculation=False)
    assert with_drafts == without
    assert plain.runner.verified == []
    counters = bench.core.counters
    assert counters.completion_tokens == plain.core.counters.completion_tokens
    usages = [sink.finish.usage for sink in bench.sinks.values()]
    assert counters.accepted_draft_tokens == sum(usage.accepted_draft_tokens for usage in usages)
    rejected = sum(usage.rejected_draft_tokens for usage in usages)
    assert counters.draft_tokens == counters.accepted_draft_tokens + rejected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=st.lists(ASKED, min_size=1, max_size=6), limits=ALL_LIMITS)
def test_what_a_cancelled_request_got_begins_its_answer_and_the_others_are_whole(asked, limits):
    found, _ = answers(asked, limits, speculation=True, cancelled=["0"])
    whole, _ = answers(asked, limits, speculation=False)
    assert found[1:] == whole[1:]
    tokens, text, *_ = found[0]
    assert tokens == whole[0][0][: len(tokens)]
    assert whole[0][1].startswith(text)


def lone(prompt, limits=ROOMY, **options):
    bench = Bench(limits, kind=ExactToyRunner, speculation=True)
    sink = bench.add("x", prompt, **options)
    bench.run()
    return sink, bench


def test_a_text_that_repeats_takes_fewer_steps_and_usage_tells_why():
    sink, bench = lone(LOOP, max_tokens=60, ignore_eos=True)
    usage = sink.finish.usage
    assert sink.tokens == plain_tokens(LOOP, 60, ignore_eos=True)
    assert usage.accepted_draft_tokens > 10
    assert bench.core.counters.steps == 1 + 59 - usage.accepted_draft_tokens


def plain_tokens(prompt, count, **options):
    """The tokens without drafts."""
    bench = Bench(ROOMY, kind=ExactToyRunner)
    sink = bench.add("x", prompt, max_tokens=count, **options)
    bench.run()
    return sink.tokens


@pytest.mark.parametrize("limit", range(1, 12))
def test_max_tokens_and_the_context_end_within_an_accepted_run(limit):
    sink, bench = lone(LOOP, max_tokens=limit, ignore_eos=True)
    assert sink.tokens == plain_tokens(LOOP, limit, ignore_eos=True)
    assert sink.finish.reason is FinishReason.LENGTH
    # No step drafts beyond the last token.
    assert all(len(each) <= limit for step in bench.runner.verified for each in step)
    full = LOOP * 6
    sink, bench = lone(full, max_tokens=SHAPE.context_tokens - len(full), ignore_eos=True)
    assert len(full) + len(sink.tokens) == SHAPE.context_tokens


def test_an_end_token_and_a_stop_string_end_a_completion_within_an_accepted_run():
    expected = plain_tokens(LOOP, 30, ignore_eos=True)
    found = []
    for token in sorted({*expected[1:]}):
        sink, bench = lone(LOOP, max_tokens=30, ignore_eos=True, stop_token_ids=(token,))
        assert sink.tokens == expected[: expected.index(token) + 1]
        found.append(any(len(each) > 1 for step in bench.runner.verified for each in step))
    assert any(found)
    sink, bench = lone(LOOP, max_tokens=30, logit_bias={END: 2.0})
    assert sink.finish.reason is FinishReason.STOP
    assert sink.tokens == plain_tokens(LOOP, 30, logit_bias={END: 2.0})


def test_no_draft_preempts_a_sequence_and_a_preempted_completion_is_the_same():
    limits = replace(LIMITS, max_running=2, budget_rows=160)
    bench = Bench(limits, kind=ExactToyRunner, speculation=True)
    for name in ("old", "young"):
        bench.add(name, LOOP, max_tokens=70, ignore_eos=True)
    bench.run()
    assert bench.core.scheduler.preemptions > 0
    assert bench.core.counters.accepted_draft_tokens > 0
    for sink in bench.sinks.values():
        assert sink.tokens == plain_tokens(LOOP, 70, ignore_eos=True)


def test_a_sequence_with_a_grammar_has_no_drafts_and_the_others_have():
    bench = Bench(ROOMY, kind=ExactToyRunner, speculation=True)
    bench.add("bound", LOOP, structured_outputs=StructuredOutput.from_mapping({"regex": "[a-c]{30}"}), max_tokens=40)
    bench.add("plain", LOOP, max_tokens=40, ignore_eos=True)
    bench.run()
    usages = {name: sink.finish.usage for name, sink in bench.sinks.items()}
    assert usages["bound"].accepted_draft_tokens == usages["bound"].rejected_draft_tokens == 0
    assert usages["plain"].accepted_draft_tokens > 0


def test_a_runner_that_is_not_exact_gets_no_drafts():
    bench = Bench(ROOMY, speculation=True)
    sink = bench.add("x", LOOP, max_tokens=30)
    bench.run()
    assert sink.tokens == greedy_reference(LOOP, 30)
    assert bench.core.counters.draft_tokens == 0


def test_a_fault_in_a_verification_ends_its_sequences_and_later_requests_are_served():
    bench = Bench(ROOMY, kind=ExactToyRunner, speculation=True)
    sink = bench.add("x", LOOP, max_tokens=40, ignore_eos=True)

    def fail(_tokens, _lengths):
        raise EngineError("the toy broke")

    verify, bench.runner.verify = bench.runner.verify, fail
    bench.run()
    assert sink.finish.reason is FinishReason.ERROR
    bench.runner.verify = verify
    after = bench.add("after", LOOP, max_tokens=20, ignore_eos=True)
    bench.run()
    assert after.tokens == plain_tokens(LOOP, 20, ignore_eos=True)


def test_rows_of_rejected_drafts_are_never_shared():
    bench = Bench(ROOMY, kind=ExactToyRunner, speculation=True)
    first = bench.add("turn 1", LOOP, max_tokens=40, ignore_eos=True)
    bench.run()
    assert first.finish.usage.rejected_draft_tokens > 0
    follow_up = [*LOOP, *first.tokens, 3, 5, 8]
    second = bench.add("turn 2", follow_up, max_tokens=20, ignore_eos=True)
    bench.run()
    assert second.finish.usage.cached_tokens == (len(LOOP) + 39) // 8 * 8
    assert second.tokens == plain_tokens(follow_up, 20, ignore_eos=True)
