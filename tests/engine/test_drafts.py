"""Drafts repeat what followed before; each step verifies as many tokens as pay; a bad or hostile text costs little."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.drafts import Draft, Drafter, verified_length
from appliance.engine.runner import MAX_DRAFT_TOKENS, MAX_VERIFIED_ROWS

# An index for this many tokens is so large that no two of the few n-grams below have the same hash.
LONG = 1 << 16


def drafts_along(tokens, prompt):
    """The draft before each token of a completion that follows the first `prompt` tokens."""
    seen = list(tokens[:prompt])
    drafter = Drafter(seen, LONG)
    for token in tokens[prompt:]:
        yield drafter.draft()
        seen.append(token)
    yield drafter.draft()


def followers(tokens):
    """What a search through the whole text finds: the tokens after the last three or two, where they last occurred."""
    for length in (3, 2):
        for end in range(len(tokens) - 1, length - 1, -1):
            if len(tokens) > length and tokens[end - length : end] == tokens[-length:]:
                return tuple(itertools.islice(itertools.cycle(tokens[end:]), MAX_DRAFT_TOKENS))
    return ()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 60))
def test_a_draft_is_what_followed_the_last_occurrence(tokens, prompt):
    prompt = min(prompt, len(tokens))
    for length, draft in enumerate(drafts_along(tokens, prompt), start=prompt):
        assert draft.tokens == followers(tokens[:length])


@given(st.lists(st.integers(0, 2**18 - 1), min_size=1, max_size=40), st.integers(1, 40))
def test_any_tokens_are_indexed_and_a_draft_has_only_tokens_of_the_text(tokens, prompt):
    text = tokens * 3
    prompt = min(prompt, len(text))
    for length, draft in enumerate(drafts_along(text, prompt), start=prompt):
        assert len(draft.tokens) in {0, MAX_DRAFT_TOKENS}
        assert set(draft.tokens) <= set(text[:length])


def test_what_a_drafter_keeps_depends_on_the_possible_length_alone():
    def kept(tokens):
        drafter = Drafter(tokens, 4096)
        drafter.draft()
        return sum(ends.nbytes for ends in drafter._ends.values())

    assert kept([1] * 4000) == kept(list(range(4000))) == kept([1]) <= 4096 * 32


def test_the_chance_of_drafts_that_are_right_rises_and_of_wrong_ones_falls_below_what_pays():
    good = [draft for draft in drafts_along([1, 2, 3, 4, 5, 6, 7] * 20, 7) if draft.tokens]
    assert good[-1].chance > 0.95
    assert verified_length(good[-1:]) == MAX_DRAFT_TOKENS
    # The same pair is always followed by another token.
    bad = [draft for draft in drafts_along([at for n in range(200) for at in (1, 2, 10 + n)], 3) if draft.tokens]
    assert verified_length(bad[:1]) > 0
    assert all(verified_length([draft]) == 0 for draft in bad[20:])


def test_drafts_are_used_again_when_they_would_have_been_right():
    text = [at for n in range(60) for at in (1, 2, 10 + n)] + [300, 301, 302, 303, 304, 305, 306, 307] * 8
    lengths = [verified_length([draft]) for draft in drafts_along(text, 3) if draft.tokens]
    assert 0 in lengths[:60]
    assert lengths[-1] == MAX_DRAFT_TOKENS


DRAFTS = st.builds(
    lambda count, chance: Draft(tuple(range(count)), chance),
    st.integers(0, MAX_DRAFT_TOKENS),
    st.floats(0.0, 1.0),
)


@given(st.lists(DRAFTS, min_size=1, max_size=40))
def test_a_step_never_has_more_rows_than_a_runner_takes_nor_a_longer_draft_than_there_is(drafts):
    length = verified_length(drafts)
    assert 0 <= length <= max(len(draft.tokens) for draft in drafts)
    assert not length or (1 + length) * len(drafts) <= MAX_VERIFIED_ROWS


def test_the_more_sequences_run_the_more_must_be_right():
    likely, unlikely = Draft((1, 2, 3), 0.9), Draft((1, 2, 3), 0.15)
    assert verified_length([likely]) == 3
    assert verified_length([unlikely]) == 1
    assert verified_length([likely, *[Draft()] * 7]) == 0
    assert verified_length([unlikely] * 8) == 0
    assert verified_length([likely] * 8) > 0
