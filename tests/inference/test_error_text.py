"""Errors survive the way through Triton, which carries a line of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import errors
from appliance.errors import ApplianceError, EngineError, RequestError, UnavailableError
from appliance.inference import error_text

KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ApplianceError)),
    key=lambda kind: kind.__name__,
)
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).map(str.strip).filter(bool)


@given(st.sampled_from(KINDS), LINES, LINES | st.just(""), st.from_regex(r"[\w.]{0,64}", fullmatch=True))
def test_an_error_is_read_as_it_was_written_whatever_stands_before_it(kind, message, hint, param):
    more = {"param": param} if issubclass(kind, RequestError) else {}
    written = error_text.write(kind(message, hint=hint, **more))
    for before in ("", "Internal: ", "in ensemble 'x', "):
        found = error_text.read(before + written)
        assert type(found) is kind
        assert str(found) == str(kind(message, hint=hint)).strip()
        assert getattr(found, "param", "") == more.get("param", "")


@given(LINES)
def test_a_parameter_that_a_client_made_up_does_not_hide_the_message(name):
    found = error_text.read(error_text.write(RequestError("a message", param=f"{name}]: [")))
    assert isinstance(found, RequestError)
    assert (found.message, found.param) == ("a message", "")


@pytest.mark.parametrize(
    "text", ["", "ValueError: x", "NoSuchError: x", "Error: x", "TypeError[a]: b", "ApplianceErrors"]
)
def test_what_is_none_of_our_errors_is_none(text):
    assert error_text.read(text) is None


def test_the_error_that_triton_prefixes_is_found():
    found = error_text.read("failed to infer: UnavailableError: the engine is shutting down (try again in a moment)")
    assert isinstance(found, UnavailableError)
    assert isinstance(found, EngineError)
