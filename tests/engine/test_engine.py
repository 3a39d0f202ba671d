"""The engine's public face on the toy runner: threads, bad input, overload, cancelling, faults and closing."""

import math
import queue
import threading
import time
import weakref
from dataclasses import replace

import pytest

from appliance.engine.engine import Engine
from appliance.engine.request import Request
from appliance.errors import (
    DeadlineError,
    EngineError,
    OverloadedError,
    PromptTooLongError,
    RequestError,
    UnavailableError,
    UsageError,
)
from appliance.inference.events import FinishEvent, FinishReason, TokenEvent
from appliance.inference.sampling import SamplingParams
from tests.engine.toy import CONFIG, MANIFEST, SHAPE, TOKENIZER, HereGrammars, ToyRunner, greedy_reference
from tests.waiting import LIMIT_S

GREEDY = SamplingParams(temperature=0.0, max_tokens=20)
ENDLESS = SamplingParams(temperature=0.0, max_tokens=60, ignore_eos=True)


class GatedRunner(ToyRunner):
    """Makes each step wait for a permit, so that a test decides what happens between steps."""

    def __init__(self, faults=()):
        super().__init__(CONFIG.slots * 2, faults=faults)
        self.permits = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)

    def _count(self):
        self.entered.release()
        self.permits.acquire(timeout=LIMIT_S)
        super()._count()


class BrokenRunner(GatedRunner):
    def decode(self, _tokens, _lengths):
        raise ZeroDivisionError("nobody foresaw this")


@pytest.fixture
def make():
    made = []

    def make(runner=None, config=CONFIG):
        runner = runner or ToyRunner(config.slots * 2)
        made.append((Engine(MANIFEST, TOKENIZER, HereGrammars(), runner, config), runner))
        return made[-1][0]

    yield make
    for engine, runner in made:
        if isinstance(runner, GatedRunner):
            runner.permits.release(100_000)
        engine.close()


def submit(engine, prompt=(1, 2, 3), sampling=GREEDY, name="x", **options):
    events = queue.SimpleQueue()
    engine.submit(Request(name, tuple(prompt), sampling, **options), events.put)
    return events


def drain(events):
    """All events of a request; fails rather than waits for ever."""
    seen = []
    while not (seen and isinstance(seen[-1], FinishEvent)):
        seen.append(events.get(timeout=LIMIT_S))
    return seen


def tokens(events):
    return [token for event in events if isinstance(event, TokenEvent) for token in event.token_ids]


def test_a_request_streams_its_tokens_and_ends_once(make):
    engine = make()
    events = drain(submit(engine))
    expected = greedy_reference((1, 2, 3), 20)
    assert tokens(events) == expected
    text = "".join(event.text for event in events[:-1])
    rest = engine.tokenizer.decode(expected).removeprefix(text)
    assert rest.strip("\ufffd") == ""  # half a character at the end is not sent
    usage = events[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (3, len(expected), 0)
    assert min(usage.queue_s, usage.prefill_s, usage.decode_s) >= 0
    assert events[-1].error is None


def test_200_requests_at_once_on_few_slots_all_end_with_their_lone_answer(make):
    engine = make(config=replace(CONFIG, max_queue=200))
    prompts = [tuple((i * 7 + j) % 250 for j in range(1 + i % 30)) for i in range(200)]
    results = [None] * 200

    def client(start):
        for index in range(start, 200, 8):
            results[index] = submit(engine, prompts[index], name=str(index), principal=f"p{index % 3}")

    threads = [threading.Thread(target=client, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for prompt, events in zip(prompts, results, strict=True):
        assert tokens(drain(events)) == greedy_reference(prompt, 20)
    stats = engine.stats()
    assert stats.requests_total[FinishReason.STOP] + stats.requests_total[FinishReason.LENGTH] == 200
    assert (stats.slots_busy, stats.queue_length) == (0, 0)
    assert stats.prompt_tokens_total == sum(map(len, prompts))


def test_events_come_from_the_engine_s_own_named_thread(make):
    names = queue.SimpleQueue()
    engine = make()
    engine.submit(Request("x", (1, 2), GREEDY), lambda _: names.put(threading.current_thread().name))
    assert names.get(timeout=LIMIT_S) == "engine"


@pytest.mark.parametrize(
    ("prompt", "sampling", "error", "param"),
    [
        ((), GREEDY, RequestError, "prompt"),
        ((1,) * SHAPE.context_tokens, GREEDY, PromptTooLongError, "prompt"),
        ((1,) * 80, GREEDY, PromptTooLongError, "max_tokens"),
        ((1,), SamplingParams(max_tokens=10**9), PromptTooLongError, "max_tokens"),
        ((1, SHAPE.tokens), GREEDY, RequestError, "prompt"),
        ((1, -1), GREEDY, RequestError, "prompt"),
        ((1,), SamplingParams(stop_token_ids=(SHAPE.tokens,)), RequestError, "stop_token_ids"),
        ((1,), SamplingParams(logit_bias={10**6: 1.0}), RequestError, "logit_bias"),
    ],
)
def test_a_request_that_cannot_be_honoured_is_refused_at_once(make, prompt, sampling, error, param):
    engine = make()
    with pytest.raises(error) as caught:
        submit(engine, prompt, sampling)
    assert caught.value.param == param
    assert engine.stats().queue_length == 0


def test_without_max_tokens_a_completion_ends_where_the_context_does(make):
    engine = make()
    events = drain(submit(engine, (1,) * 90, SamplingParams(temperature=0.0, ignore_eos=True)))
    assert len(tokens(events)) == SHAPE.context_tokens - 90
    assert events[-1].reason is FinishReason.LENGTH


def test_a_request_id_is_refused_while_in_use_and_free_afterwards(make):
    runner = GatedRunner()
    engine = make(runner)
    first = submit(engine)
    with pytest.raises(RequestError, match="in use"):
        submit(engine)
    runner.permits.release(100_000)
    drain(first)
    drain(submit(engine))


def test_a_full_queue_refuses_and_serves_again_later(make):
    runner = GatedRunner()
    engine = make(runner, replace(CONFIG, max_queue=2))
    waiting = [submit(engine, name=str(index)) for index in range(CONFIG.slots + 2)]
    with pytest.raises(OverloadedError, match="5 requests are already running or waiting"):
        submit(engine, name="too many")
    runner.permits.release(100_000)
    for events in waiting:
        drain(events)
    drain(submit(engine, name="too many"))


def test_without_a_queue_nobody_waits(make):
    runner = GatedRunner()
    engine = make(runner, replace(CONFIG, max_queue=0))
    running = [submit(engine, name=str(index)) for index in range(CONFIG.slots)]
    with pytest.raises(OverloadedError):
        submit(engine, name="too many")
    runner.permits.release(100_000)
    for events in running:
        drain(events)


def test_cancelling_ends_a_stream_within_one_step(make):
    runner = GatedRunner()
    engine = make(runner)
    events = submit(engine, sampling=ENDLESS)
    runner.permits.release(4)
    for _ in range(5):
        runner.entered.acquire(timeout=LIMIT_S)
    engine.cancel("x")  # while the fifth step runs
    runner.permits.release(100_000)
    seen = drain(events)
    assert seen[-1].reason is FinishReason.CANCELLED
    assert len(tokens(seen)) == 5
    assert engine.stats().slots_busy == 0


def test_cancelling_what_is_not_there_is_harmless(make):
    engine = make()
    engine.cancel("nobody")
    drain(submit(engine, name="nobody"))


def test_a_deadline_in_the_past_ends_a_request_before_its_first_token(make):
    engine = make()
    seen = drain(submit(engine, deadline=time.monotonic() - 1.0))
    assert tokens(seen) == []
    assert seen[-1].reason is FinishReason.DEADLINE
    assert isinstance(seen[-1].error, DeadlineError)


def test_a_fault_nobody_foresaw_ends_all_requests_and_refuses_new_ones(make, caplog):
    runner = BrokenRunner()
    engine = make(runner)
    # The first step waits for all of them to be there: an engine that has ended takes no more.
    streams = [submit(engine, sampling=ENDLESS, name=str(index)) for index in range(6)]
    runner.permits.release(100)
    for events in streams:
        finish = drain(events)[-1]
        assert finish.reason is FinishReason.ERROR
        assert isinstance(finish.error, EngineError)
    with pytest.raises(UnavailableError, match="the engine has stopped"):
        submit(engine)
    assert not engine.stats().accepts_requests
    assert "nobody foresaw this" in caplog.text


def test_faults_in_a_row_end_the_engine_with_their_message(make):
    runner = GatedRunner(faults=range(1000))
    engine = make(runner)
    # The first step waits for all of them to be there: an engine that has ended takes no more.
    streams = [submit(engine, name=str(index)) for index in range(6)]
    runner.permits.release(100_000)
    for events in streams:
        assert "the toy broke" in drain(events)[-1].error.message
    engine.close()
    with pytest.raises(UnavailableError, match="the toy broke"):
        submit(engine)


def test_closing_lets_live_requests_finish_within_the_drain_and_refuses_new_ones(make):
    runner = GatedRunner()
    engine = make(runner)
    events = submit(engine)
    runner.entered.acquire(timeout=LIMIT_S)
    closing = threading.Thread(target=engine.close, args=(LIMIT_S,))
    closing.start()
    while engine.stats().accepts_requests:
        time.sleep(0.001)
    with pytest.raises(UnavailableError, match="shutting down"):
        submit(engine, name="late")
    runner.permits.release(100_000)
    closing.join()
    assert tokens(drain(events)) == greedy_reference((1, 2, 3), 20)


def test_closing_without_a_drain_ends_live_requests_with_an_error(make):
    runner = GatedRunner()
    engine = make(runner)
    streams = [submit(engine, sampling=ENDLESS, name=str(index)) for index in range(5)]
    runner.entered.acquire(timeout=LIMIT_S)
    closing = threading.Thread(target=engine.close)
    closing.start()
    while engine.stats().accepts_requests:
        time.sleep(0.001)
    runner.permits.release(1)
    closing.join()
    for events in streams:
        finish = drain(events)[-1]
        assert finish.reason is FinishReason.ERROR
        assert isinstance(finish.error, UnavailableError)


def test_closing_twice_is_harmless(make):
    engine = make()
    engine.close()
    engine.close()


def test_stop_strings_across_tokens_end_the_text_before_them(make):
    engine = make()
    whole = drain(submit(engine, sampling=ENDLESS))
    text = engine.tokenizer.decode(tokens(whole))
    stop = text[3:6]
    seen = drain(submit(engine, sampling=replace(ENDLESS, stop=(stop,))))
    assert "".join(event.text for event in seen[:-1]) == text[: text.index(stop)]
    assert seen[-1].reason is FinishReason.STOP


def test_a_stop_token_ends_the_completion_and_has_no_text(make):
    engine = make()
    whole = tokens(drain(submit(engine, sampling=ENDLESS)))
    seen = drain(submit(engine, sampling=replace(ENDLESS, stop_token_ids=(whole[4],))))
    assert tokens(seen) == whole[: whole.index(whole[4]) + 1]
    assert seen[-1].reason is FinishReason.STOP
    assert seen[-2].text == ""


def test_logprobs_come_with_each_token(make):
    engine = make()
    seen = drain(submit(engine, sampling=replace(GREEDY, logprobs=2)))
    for event in seen[:-1]:
        (logprob,) = event.logprobs
        assert logprob.token_id == event.token_ids[0] == logprob.top[0][0]
        assert math.exp(logprob.logprob) <= 1.0
        assert len(logprob.top) == 2


def test_statistics_tell_what_is_held(make):
    runner = GatedRunner()
    engine = make(runner)
    streams = [submit(engine, (5,) * 20, ENDLESS, name=str(index)) for index in range(5)]
    runner.permits.release(2)
    for _ in range(3):
        runner.entered.acquire(timeout=LIMIT_S)
    stats = engine.stats()
    assert (stats.slots, stats.slots_busy, stats.queue_length) == (3, 3, 2)
    assert 20 <= stats.cache_tokens_used <= stats.cache_tokens_total == 300
    assert stats.completion_tokens_total >= 1
    assert stats.tokens_per_second > 0
    assert stats.rss_bytes > 0
    runner.permits.release(100_000)
    for events in streams:
        drain(events)
    assert engine.stats().completion_tokens_total == 5 * 60


@pytest.mark.parametrize("changes", [{"max_context_tokens": 97}, {"cache_bytes": 1}, {"max_context_tokens": 1}])
def test_limits_that_the_model_cannot_meet_are_refused(changes):
    with pytest.raises(UsageError, match="is not possible"):
        Engine(MANIFEST, TOKENIZER, HereGrammars(), ToyRunner(6), replace(CONFIG, **changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, 0) for name in ("slots", "cache_bytes", "prefill_chunk_tokens", "threads")), ("max_queue", -1)],
)
def test_limits_below_the_least_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=name):
        replace(CONFIG, **{name: value})


def test_a_small_cache_lowers_the_context(make):
    engine = make(config=replace(CONFIG, cache_bytes=50 * SHAPE.cache_bytes_per_token))
    assert engine.max_context_tokens == 50


def test_a_closed_engine_s_runner_is_freed_with_it():
    runner = ToyRunner(CONFIG.slots * 2)
    gone = weakref.ref(runner)
    engine = Engine(MANIFEST, TOKENIZER, HereGrammars(), runner, CONFIG)
    drain(submit(engine))
    engine.close()
    del engine, runner
    assert gone() is None
