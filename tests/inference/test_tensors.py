"""The tensors' table on its page, and the elements of BYTES tensors."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inference.tensors import element, elements, is_one_element, reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_contract_page_lists_the_tensors_as_they_are():
    assert reference() in (DOCS / "triton-contract.md").read_text(encoding="utf-8")


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_elements_come_out_as_they_went_in(items):
    raw = b"".join(map(element, items))
    assert elements(raw) == items
    assert is_one_element(raw) == (len(items) == 1)


@given(st.binary(min_size=1, max_size=40), st.integers(1, 40))
def test_contents_that_end_within_an_element_are_an_error(item, missing):
    raw = element(item)[: -min(missing, len(item))]
    with pytest.raises((struct.error, ValueError)):
        elements(raw)
    assert not is_one_element(raw)
