"""Allowed tokens and bad words: what may not be chosen is never chosen, and a token is always left."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.bad_words import bad_word_tokens
from appliance.engine.request import Request
from appliance.engine.sampler import SamplerState
from appliance.errors import RequestError
from appliance.inference.sampling import MAX_ALLOWED_TOKENS, SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.engine.core_bench import Bench
from tests.engine.test_sampler import choose
from tests.engine.toy import END, TOKENIZER, logits_of, prompt_rows

SIZE = 50
TEMPERATURES = st.sampled_from([0.0, 1.0, 5.0])


def state(ends=(0,), bad_words=(), **options):
    return SamplerState(Request("x", (1,), SamplingParams(**options)), ends, None, bad_words)


def picks(sampler, count=60):
    rows = np.random.default_rng(3).standard_normal((count, SIZE)).astype(np.float32) * 4
    tokens = []
    for row in rows:
        (choice,) = choose(row[None].copy(), [sampler])
        sampler.accept(choice.token)
        tokens.append(choice.token)
    return tokens


@given(
    allowed=st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=5),
    temperature=TEMPERATURES,
    top_k=st.sampled_from([0, 3, 40]),
    top_p=st.sampled_from([1.0, 0.9]),
    penalty=st.sampled_from([1.0, 1.3]),
)
def test_only_allowed_tokens_are_chosen(allowed, temperature, top_k, top_p, penalty):
    sampler = state(
        allowed_token_ids=tuple(allowed),
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=penalty,
        min_tokens=5,
        seed=1,
    )
    assert set(picks(sampler, 20)) <= allowed


@given(temperature=TEMPERATURES, words=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), max_size=4))
def test_the_tokens_of_a_bad_word_do_not_follow_each_other(temperature, words):
    tokens = picks(state(bad_words=words, temperature=temperature, seed=2, logit_bias=dict.fromkeys(range(1, 10), 3.0)))
    for word in words:
        assert all(tokens[at : at + len(word)] != word for at in range(len(tokens)))


def test_a_token_that_is_bad_only_after_others_is_chosen_elsewhere():
    sampler = state(bad_words=[[5, 5]], temperature=0.0, allowed_token_ids=(5, 6))
    tokens = picks(sampler)
    assert 5 in tokens
    assert (5, 5) not in list(itertools.pairwise(tokens))


@pytest.mark.parametrize(
    "options",
    [{"bad_words": [[7]]}, {"min_tokens": 3, "ends": (7,)}, {"bad_words": [[7]], "min_tokens": 3, "ends": (7,)}],
)
def test_a_token_that_is_the_only_one_is_chosen_in_spite_of_the_rest(options):
    assert set(picks(state(allowed_token_ids=(7,), temperature=0.0, **options), 5)) == {7}


def test_the_words_of_a_request_reach_its_tokens():
    prompt = [1, 2, 3]
    first = int(logits_of(prompt_rows(prompt, 0))[:256].argmax())
    assert first != END
    word = TOKENIZER.token_bytes(first).decode()
    bench = Bench()
    sink = bench.add("x", prompt, bad_words=(word,), max_tokens=3, ignore_eos=True)
    bench.run()
    assert first not in sink.tokens


def test_a_word_counts_with_a_space_before_it_if_only_its_first_token_changes():
    known = {"ab": [1], " ab": [2], "cd": [3], " cd": [9, 3], "ef": [4, 5], " ef": [6, 5], "gh": [7], " gh": [7]}

    class Words:
        def encode(self, text, *, add_special_tokens):
            assert not add_special_tokens
            return known[text]

    assert bad_word_tokens(Words(), ["ab", " cd", "ef", "gh"]) == [[1], [2], [3], [4, 5], [6, 5], [7]]


def test_a_word_that_is_no_unicode_is_refused_by_name():
    with pytest.raises(RequestError) as caught:
        bad_word_tokens(TOKENIZER, ["\ud800"])
    assert caught.value.param == "bad_words"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_token_ids", ()),
        ("allowed_token_ids", (-1,)),
        ("allowed_token_ids", tuple(range(MAX_ALLOWED_TOKENS + 1))),
        ("bad_words", ("",)),
        ("bad_words", ("  ",)),
        ("bad_words", ("x" * 257,)),
        ("bad_words", ("x",) * 129),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(name, value):
    with pytest.raises(RequestError) as caught:
        SamplingParams(**{name: value})
    assert caught.value.param == name


@pytest.mark.parametrize(("name", "value"), [("allowed_token_ids", (1,)), ("bad_words", ("a",))])
def test_a_grammar_and_excluded_tokens_contradict_each_other(name, value):
    wanted = StructuredOutput.from_mapping({"choice": ["a", "b"]})
    with pytest.raises(RequestError) as caught:
        SamplingParams(structured_outputs=wanted, **{name: value})
    assert caught.value.param == name
