from pathlib import Path

from appliance.inference.tensors import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_contract_page_lists_the_tensors_as_they_are():
    assert reference() in (DOCS / "triton-contract.md").read_text(encoding="utf-8")
