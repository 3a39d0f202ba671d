"""Importing from a local folder or GGUF file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance import disk
from appliance.catalog.entry import Conversation
from appliance.errors import IntegrityError, NoSpaceError, SourceError, UnsafeFormatError, UnsupportedError, UsageError
from appliance.sources import Described, pull_local
from appliance.store import open_model
from tests.refusals import refused
from tests.sources.test_formats import safetensors, zipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint in the Hugging Face layout."""
    home = tmp_path / "checkpoint"
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"model_type": "qwen2", "max_position_embeddings": 4096}))
    (home / "model.safetensors").write_bytes(safetensors() + bytes(1000))
    (home / "tokenizer.json").write_text("{}")
    (home / "generation_config.json").write_text("{}")
    (home / "chat_template.jinja").write_text("{{ messages }}")
    (home / "README.md").write_text("hello")
    (home / "onnx").mkdir()
    return home


def described(_files: Mapping[str, Path], stated: Conversation | None) -> Described:
    return Described("qwen2", 4096, f"tool calls: {(stated or Conversation('hermes')).tools}", ("a note",))


def test_a_folder_is_imported_under_a_new_name(layout, folder, told):
    stored = pull_local(layout, folder, told.reporter, name="mine", describe=described)
    assert sorted(stored.files) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert stored.files["model.safetensors"].read_bytes() == (folder / "model.safetensors").read_bytes()
    entry = open_model(layout, "mine").entry
    assert (entry.architecture, entry.context_tokens, entry.trust.value) == ("qwen2", 4096, "first-use")
    assert told.lines[:3] == ["not installed: README.md, onnx", f"reading {folder}", "note: a note"]
    assert "hermes" in told.lines[3]
    assert told.gained["storing mine"] == entry.size_bytes


def test_the_pooling_of_an_embedding_model_comes_from_its_folder(layout, folder, told):
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "2_Normalize").mkdir()
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / name).write_text("{}")
    stored = pull_local(layout, folder, told.reporter, name="mine")
    assert stored.files["1_Pooling.config.json"].read_bytes() == (folder / "1_Pooling" / "config.json").read_bytes()
    assert {"modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"} <= stored.files.keys()
    assert told.lines[0] == "not installed: 2_Normalize, README.md, onnx"


def test_a_pooling_that_lies_outside_the_folder_is_refused(layout, folder, told, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").symlink_to(tmp_path / "secret.json")
    with refused(UnsafeFormatError, "1_Pooling/config.json", "link"):
        pull_local(layout, folder, told.reporter, name="mine")
    assert not layout.models.exists()


def test_a_gguf_file_is_imported_by_its_path(layout, published, told, tmp_path):
    path = tmp_path / "anything.gguf"
    path.write_bytes(published.content)
    stored = pull_local(layout, path, told.reporter, name="mine")
    assert list(stored.files) == ["anything.gguf"]
    stored.verify()


def test_a_model_of_the_catalogue_is_accepted_when_its_digests_match(layout, published, told, tmp_path):
    (tmp_path / "renamed.gguf").write_bytes(published.content)
    stored = pull_local(layout, tmp_path / "renamed.gguf", told.reporter, entry=published.entry)
    assert list(stored.files) == ["weights.gguf"]


def test_a_model_of_the_catalogue_is_refused_when_a_byte_differs(layout, published, told, tmp_path):
    (tmp_path / "weights.gguf").write_bytes(published.content[:-1] + b"?")
    with refused(IntegrityError, "weights.gguf", "sha256") as caught:
        pull_local(layout, tmp_path / "weights.gguf", told.reporter, entry=published.entry)
    assert f"--from {tmp_path}/weights.gguf --name" in caught.value.hint
    assert not (layout.store / "sha256").exists()
    assert not layout.models.exists()


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"?"])
def test_a_file_of_another_size_than_in_the_catalogue_is_refused_before_it_is_copied(
    layout, published, told, tmp_path, change
):
    content = change(published.content)
    (tmp_path / "weights.gguf").write_bytes(content)
    with refused(IntegrityError, "weights.gguf", len(content), len(published.content)) as caught:
        pull_local(layout, tmp_path / "weights.gguf", told.reporter, entry=published.entry)
    assert f"--from {tmp_path}/weights.gguf --name" in caught.value.hint
    assert not told.gained
    assert not layout.store.exists()


def test_a_pointer_in_place_of_a_file_of_the_catalogue_is_named_as_one(layout, published, told, tmp_path):
    (tmp_path / "weights.gguf").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    )
    with refused(IntegrityError, "Git LFS"):
        pull_local(layout, tmp_path / "weights.gguf", told.reporter, entry=published.entry)


def test_a_folder_that_lacks_a_file_of_the_catalogue_is_refused(layout, published, told, folder):
    with refused(SourceError, "weights.gguf") as caught:
        pull_local(layout, folder, told.reporter, entry=published.entry)
    assert f"--from {folder} --name" in caught.value.hint


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.pt", "modeling_mine.py"])
def test_a_folder_with_code_is_refused_whole(layout, folder, told, name):
    (folder / name).write_bytes(pickle.dumps(1))
    with pytest.raises(UnsafeFormatError, match=name):
        pull_local(layout, folder, told.reporter, name="mine")
    assert not layout.models.exists()


@pytest.mark.parametrize("content", [pickle.dumps(list(range(50))), zipped()])
def test_a_pickle_renamed_to_safetensors_is_refused(layout, folder, told, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UnsafeFormatError, match=r"model\.safetensors"):
        pull_local(layout, folder, told.reporter, name="mine")
    assert not layout.models.exists()


def test_remote_code_is_refused_before_the_weights_are_copied(layout, folder, told):
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": "x.T"}}))
    with pytest.raises(UnsafeFormatError, match="auto_map"):
        pull_local(layout, folder, told.reporter, name="mine")
    assert not [path for path in layout.store.rglob("*") if path.is_file() and path.stat().st_size > 500]


def test_a_link_that_leads_out_is_refused(layout, folder, told, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (folder / "vocab.json").symlink_to(tmp_path / "secret.json")
    with refused(UnsafeFormatError, "vocab.json", "link"):
        pull_local(layout, folder, told.reporter, name="mine")


def test_a_link_within_the_folder_is_followed(layout, folder, told):
    (folder / "weights").mkdir()
    (folder / "model.safetensors").rename(folder / "weights" / "blob")
    (folder / "model.safetensors").symlink_to("weights/blob")
    pull_local(layout, folder, told.reporter, name="mine").verify()


def test_a_dangling_link_is_a_source_error(layout, folder, told):
    (folder / "vocab.json").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"vocab\.json"):
        pull_local(layout, folder, told.reporter, name="mine")


@pytest.mark.parametrize("extra", ["a.gguf", "b.gguf"])
def test_two_editions_of_the_weights_are_refused(layout, folder, published, told, extra):
    (folder / extra).write_bytes(published.content)
    with refused(SourceError, "several versions"):
        pull_local(layout, folder, told.reporter, name="mine")


def test_a_folder_without_weights_is_refused(layout, folder, told):
    (folder / "model.safetensors").unlink()
    with refused(SourceError, "no weights"):
        pull_local(layout, folder, told.reporter, name="mine")


def test_a_place_that_is_not_there_is_refused(layout, told, tmp_path):
    with refused(SourceError, "GGUF"):
        pull_local(layout, tmp_path / "nowhere", told.reporter, name="mine")


@pytest.mark.parametrize("name", ["../evil", "Mine", "", "a/b"])
def test_a_name_that_is_unsafe_is_refused(layout, folder, told, name):
    with refused(UsageError, "valid"):
        pull_local(layout, folder, told.reporter, name=name)


@pytest.mark.parametrize(
    ("name", "example"),
    [("Qwen3-0.6B", "qwen3-0.6b"), ("Org/My Model..v2", "org-my-model.v2"), ("x" * 100, ""), ("模型", "")],
)
def test_the_hint_for_a_name_has_one_that_is_accepted(layout, folder, told, name, example):
    with refused(UsageError, name) as caught:
        pull_local(layout, folder, told.reporter, name=name)
    assert caught.value.hint.rpartition(": for example ")[2 if example else 0] == example
    if example:
        pull_local(layout, folder, told.reporter, name=example)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("my model.safetensors", "my-model.safetensors"),
        ("Übung (1).safetensors", "Ubung-1.safetensors"),
        ("模型.safetensors", "model.safetensors"),
        (".hidden.safetensors", "hidden.safetensors"),
        ("x" * 200 + ".safetensors", "x" * 116 + ".safetensors"),
    ],
)
def test_a_weight_file_with_an_unsafe_name_is_refused_with_one_that_is_accepted(layout, folder, told, name, safe):
    (folder / "model.safetensors").rename(folder / name)
    with refused(UsageError, name) as caught:
        pull_local(layout, folder, told.reporter, name="mine")
    assert f"for example to {safe}:" in caught.value.hint
    (folder / name).rename(folder / safe)
    assert safe in pull_local(layout, folder, told.reporter, name="mine").files


def test_a_model_that_cannot_be_exported_is_refused_before_it_is_copied(layout, folder, told):
    def refuse(files: Mapping[str, Path], _stated: Conversation | None) -> None:
        assert {"config.json", "model.safetensors"} <= files.keys()
        raise UnsupportedError("no")

    with refused(UnsupportedError, "no"):
        pull_local(layout, folder, told.reporter, name="mine", describe=refuse)
    assert not layout.store.exists()
    assert not layout.models.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer_config.json"])
def test_an_unsafe_file_is_refused_before_anything_reads_the_model(layout, folder, told, name):
    content = (
        pickle.dumps(list(range(50))) if name.endswith(".safetensors") else b'{"auto_map": {"AutoTokenizer": "x"}}'
    )
    (folder / name).write_bytes(content)

    def read(_files: Mapping[str, Path], _stated: Conversation | None) -> None:
        pytest.fail("the model was read")

    with refused(UnsafeFormatError, name):
        pull_local(layout, folder, told.reporter, name="mine", describe=read)
    assert not layout.store.exists()


def test_how_a_model_converses_can_be_stated(layout, folder, told):
    stated = Conversation("qwen3-coder")
    pull_local(layout, folder, told.reporter, name="mine", conversation=stated, describe=described)
    assert open_model(layout, "mine").entry.conversation == stated
    pull_local(layout, folder, told.reporter, name="other", describe=described)
    assert open_model(layout, "other").entry.conversation is None


def test_an_adapter_is_refused_with_the_way_to_merge_it(layout, folder, told):
    (folder / "adapter_config.json").write_text("{}")
    with refused(UnsupportedError, "adapter_config.json") as caught:
        pull_local(layout, folder, told.reporter, name="mine")
    assert "merge_and_unload" in caught.value.hint
    assert not layout.store.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_refused_with_the_command_that_gets_the_file(layout, folder, told, name):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    (folder / name).write_text(pointer)
    with refused(IntegrityError, name, "Git LFS") as caught:
        pull_local(layout, folder, told.reporter, name="mine")
    assert "git lfs pull" in caught.value.hint
    assert not layout.store.exists()


def test_parts_of_a_gguf_file_are_refused_with_the_way_to_join_them(layout, folder, published, told):
    (folder / "model.safetensors").unlink()
    for part in ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"):
        (folder / part).write_bytes(published.content)
    with refused(SourceError, "m-00001-of-00002.gguf") as caught:
        pull_local(layout, folder, told.reporter, name="mine")
    assert "--merge" in caught.value.hint


def test_a_name_that_is_taken_is_refused(layout, folder, told):
    pull_local(layout, folder, told.reporter, name="mine")
    with refused(UsageError, "already"):
        pull_local(layout, folder, told.reporter, name="mine")


def test_an_empty_text_is_refused(layout, folder, told):
    (folder / "merges.txt").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"merges\.txt"):
        pull_local(layout, folder, told.reporter, name="mine")


def test_no_space_for_a_folder_is_told_before_anything_is_copied(layout, folder, told, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 100)
    with pytest.raises(NoSpaceError):
        pull_local(layout, folder, told.reporter, name="mine")
    assert not layout.store.exists()
