"""Stop strings over any cutting of the text: found at the earliest place, never leaked, nothing else lost."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.stop import StopMatcher

TEXT = st.text("ab<|>", max_size=40)


def feed(matcher, pieces):
    sent = ""
    for piece in pieces:
        text, stopped = matcher.push(piece)
        sent += text
        if stopped is not None:
            return sent, stopped
    return sent + matcher.flush(), None


@given(TEXT, st.lists(st.text("ab<|>", min_size=1, max_size=6), max_size=4), st.lists(st.integers(0, 40), max_size=8))
def test_text_ends_before_the_first_stop_string_however_it_is_cut(text, stops, cuts):
    edges = sorted({0, len(text), *(cut for cut in cuts if cut <= len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    sent, stopped = feed(StopMatcher(stops), pieces)
    assert (stopped is not None) == any(stop in text for stop in stops)
    if stopped is None:
        assert sent == text
    else:
        # Cutting decides which of several overlapping stop strings completes first, but never leaks one.
        assert text.startswith(sent)
        assert not any(stop in sent for stop in stops)
        assert text.startswith(stopped, len(sent))
        assert stopped in stops


def test_only_what_may_begin_a_stop_string_is_held_back():
    matcher = StopMatcher(["<|end|>"])
    assert matcher.push("hello <") == ("hello ", None)
    assert matcher.push("|en") == ("", None)
    assert matcher.push("try|>") == ("<|entry|>", None)
    assert matcher.push("x<|end|>y") == ("x", "<|end|>")
    assert matcher.flush() == ""


def test_without_stop_strings_nothing_is_held():
    assert StopMatcher([]).push("<") == ("<", None)
