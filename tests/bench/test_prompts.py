from __future__ import annotations

from itertools import combinations

from bench.workers.prompts import Prompts

CORPUS = range(1000, 1500)


def test_prompts_have_the_length_asked_for_beyond_the_corpus_too():
    prompts = Prompts(CORPUS, seed=0)
    assert [len(prompts.take(length)) for length in (1, 32, 500, 2000)] == [1, 32, 500, 2000]


def test_no_two_prompts_begin_alike():
    prompts = Prompts(CORPUS, seed=0).several(20, 64)
    assert all(one[:3] != other[:3] for one, other in combinations(prompts, 2))


def test_every_engine_gets_the_same_prompts_in_a_round_and_others_in_the_next():
    assert Prompts(CORPUS, seed=1).several(3, 64) == Prompts(CORPUS, seed=1).several(3, 64)
    assert Prompts(CORPUS, seed=1).take(64) != Prompts(CORPUS, seed=2).take(64)


def test_prompts_are_made_of_the_corpus_alone():
    assert set(Prompts(CORPUS, seed=0).take(3000)) <= set(CORPUS)
