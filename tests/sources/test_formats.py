"""What is let in: numbers and texts; never anything that runs code when it is opened."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import pytest

from appliance.errors import IntegrityError, UnsafeFormatError
from appliance.sources.formats import check_head, check_name_is_safe, check_text, checked


def safetensors(header: bytes = b'{"__metadata__":{}}') -> bytes:
    return len(header).to_bytes(8, "little") + header


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1, 2, 3]))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a.PT", "a.pth", "a.ckpt", "a.pkl", "modeling_x.py"])
def test_names_that_promise_code_are_refused_with_the_reason(name: str):
    with pytest.raises(UnsafeFormatError, match=name) as caught:
        check_name_is_safe(name)
    assert "code" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf", "config.json", "README.md"])
def test_other_names_pass(name: str):
    check_name_is_safe(name)


@pytest.mark.parametrize("suffix", ["safetensors", "gguf"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_renamed_is_refused_by_its_content(suffix: str, protocol: int):
    content = pickle.dumps({"weights": list(range(100))}, protocol=protocol)
    with pytest.raises(UnsafeFormatError, match="pickle"):
        check_head(f"model.{suffix}", len(content), content[:16])


@pytest.mark.parametrize("suffix", ["safetensors", "gguf"])
def test_a_torch_archive_renamed_is_refused_by_its_content(suffix: str):
    with pytest.raises(UnsafeFormatError, match="zip"):
        check_head(f"model.{suffix}", len(zipped()), zipped()[:16])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.gguf", b"GGUF\x01\x00\x00\x00" + bytes(20)),
        ("model.gguf", b"GGML" + bytes(20)),
        ("model.gguf", b""),
        ("model.safetensors", b"[" * 32),
        ("model.safetensors", (1 << 40).to_bytes(8, "little") + b"{" + bytes(20)),
        ("model.safetensors", b"\x10"),
    ],
)
def test_weights_that_are_not_what_their_name_says_are_refused(name: str, content: bytes):
    with pytest.raises(IntegrityError, match=name):
        check_head(name, len(content), content[:16])


def test_a_safetensors_header_whose_length_looks_like_a_pickle_passes():
    # 0x0480 bytes of header begin with 80 04, as a pickle of protocol 4 does.
    content = safetensors(b"{" + b" " * 0x47E + b"}")
    assert content[:2] == b"\x80\x04"
    check_head("model.safetensors", len(content), content[:16])


def test_checked_weights_come_through_unchanged_however_they_are_cut():
    content = safetensors() + bytes(range(200))
    pieces = [content[i : i + 3] for i in range(0, len(content), 3)]
    assert b"".join(checked("model.safetensors", len(content), pieces)) == content


@pytest.mark.parametrize(
    "settings",
    [
        {"auto_map": {"AutoModelForCausalLM": "modeling_x.Model"}},
        {"text_config": {"trust_remote_code": True}},
        {"nested": [{"custom_pipelines": {"a": 1}}]},
    ],
)
def test_settings_that_ask_for_code_are_refused(settings: dict[str, object]):
    with pytest.raises(UnsafeFormatError, match="requires code"):
        check_text("config.json", json.dumps(settings).encode())


def test_a_vocabulary_may_hold_the_words():
    check_text("vocab.json", json.dumps({"auto_map": 5}).encode())
    check_text("config.json", json.dumps({"trust_remote_code": False}).encode())
    check_text("merges.txt", b"\x80\x04 any bytes")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"[" * 100_000])
def test_broken_settings_are_refused(content: bytes):
    with pytest.raises(IntegrityError, match=r"config\.json"):
        check_text("config.json", content)
