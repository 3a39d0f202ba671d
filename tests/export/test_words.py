"""What serving needs of a checkpoint's words is tried before it is exported; how it converses is read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import Conversation
from appliance.catalog.entry import Conversation as Stated
from appliance.chat_template.running import RunningTemplate, TemplateSource
from appliance.errors import ApplianceError, IntegrityError, UnsupportedError
from appliance.gateway.chat.served_model import ServedModel
from appliance.layout import Layout
from export.check import check_checkpoint
from export.checkpoint import open_checkpoint
from export.pipeline import export_model
from export.words import Words
from tests.checkpoints import CHAT_TEMPLATE, VOCABULARY, make_tiny_checkpoint, tiny_tokenizer
from tests.export import templates
from tests.export.progress import Steps
from tests.gguf_files import make_tiny_gguf
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused

MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>")


def with_template(folder: Path, template: str | None, *, marks: tuple[str, ...] = MARKS, **settings: Any) -> Path:
    """A tiny checkpoint whose tokenizer has marks, with this template, and keys of generation_config.json replaced."""
    make_tiny_checkpoint(folder, "qwen3")
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(list(marks))
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, "eos_token": "<|im_end|>"}))
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder


def words(folder: Path) -> Words:
    return Words.of(open_checkpoint(files_in(folder)), VOCABULARY)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (templates.QWEN3, Conversation("hermes", thinking=True)),
        (templates.CODER, Conversation("qwen3-coder")),
        (templates.ALWAYS_THINKING, Conversation("", thinking=True)),
        (templates.OTHER_CALLS, Conversation()),
        (CHAT_TEMPLATE, Conversation()),
        (None, Conversation()),
    ],
)
def test_how_a_model_converses_is_read_from_its_template(tmp_path: Path, template: str | None, expected: Conversation):
    assert words(with_template(tmp_path, template)).settings.conversation == expected


@pytest.mark.parametrize(
    ("marks", "expected"),
    [(MARKS[:2], Conversation("hermes")), (MARKS[1:], Conversation("", thinking=True)), ((), Conversation())],
)
def test_marks_that_are_no_tokens_are_no_marks(tmp_path: Path, marks: tuple[str, ...], expected: Conversation):
    assert words(with_template(tmp_path, templates.QWEN3, marks=marks)).settings.conversation == expected


@pytest.mark.parametrize(
    ("template", "marks", "named"),
    [
        (templates.QWEN3, MARKS, []),
        (templates.QWEN3, MARKS[:2], ["<think>"]),
        (templates.QWEN3, (), ["<tool_call>", "<think>"]),
        (templates.OTHER_CALLS, MARKS, ["format"]),
        (CHAT_TEMPLATE, (), []),
    ],
)
def test_what_of_a_template_is_not_supported_is_told(
    tmp_path: Path, template: str, marks: tuple[str, ...], named: list[str]
):
    files = files_in(with_template(tmp_path, template, marks=marks))
    notes = check_checkpoint(files).notes
    assert len(notes) == len(named)
    assert all(name in note for name, note in zip(named, notes, strict=True))


@pytest.mark.parametrize("form", ["safetensors", "gguf"])
def test_a_model_that_no_catalogue_knows_is_served_with_its_tools_and_thoughts(tmp_path: Path, form: str):
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    if form == "gguf":
        path = make_tiny_gguf(tmp_path / "a.gguf", "qwen3", template=templates.QWEN3, marks=MARKS)
        install_checkpoint(layout, "mine", {path.name: path})
    else:
        install_checkpoint(layout, "mine", files_in(with_template(tmp_path / "published", templates.QWEN3)))
    exported = export_model(layout, "mine", "cpu", "float32", Steps())
    assert read_manifest(exported.folder).conversation == Conversation("hermes", thinking=True)
    served = ServedModel.load(exported.folder)
    assert (served.dialect.tools, served.dialect.thinks) == ("hermes", True)
    assert set(served.marks) == set(MARKS)


def test_a_distilled_model_of_deepseek_converses_as_its_template_says(tmp_path: Path):
    path = make_tiny_gguf(
        tmp_path / "a.gguf",
        pre="deepseek-r1-qwen",
        first="<|endoftext|>",
        template=templates.DISTILLED,
        marks=MARKS[2:],
    )
    read = Words.of(open_checkpoint({path.name: path}), VOCABULARY)
    assert read.settings.conversation == Conversation("", thinking=True)
    first, last = read.settings.generation.bos_token, read.settings.generation.eos_token
    template = RunningTemplate(TemplateSource(templates.DISTILLED, first, last))
    turns = ({"role": "user", "content": "Hello!"},)
    rendered = template.render_now({"messages": turns, "max_characters": 1000})
    template.end()
    assert rendered == "<|endoftext|><\uff5cUser\uff5c>Hello!<\uff5cAssistant\uff5c><think>\n"


def test_what_the_catalogue_says_goes_before_what_the_template_shows(tmp_path: Path):
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    files = files_in(with_template(tmp_path / "published", templates.QWEN3))
    install_checkpoint(layout, "mine", files, Stated(tools="qwen3-coder"))
    manifest = export_model(layout, "mine", "cpu", "float32", Steps()).manifest
    assert manifest.conversation == Conversation("qwen3-coder")


def test_a_catalogue_that_names_marks_which_are_no_tokens_is_refused_at_export(tmp_path: Path):
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, "mine", files_in(make_tiny_checkpoint(tmp_path / "published")), Stated(tools="hermes"))
    with refused(UnsupportedError, "<tool_call>"):
        export_model(layout, "mine", "cpu", "float32", Steps())
    assert not layout.artefacts.exists()


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("{% for m in messages %}{{ m.content }}", UnsupportedError),
        ("{% novelty %}", UnsupportedError),
        ("{{ raise_exception('no') }}", UnsupportedError),
        ("{{ messages[0].content + 1 }}", UnsupportedError),
        ("{{ messages[3].content.x }}", UnsupportedError),
        ("{# nothing #}", UnsupportedError),
        ("{{ '\\ud800' }}", UnsupportedError),
        # Not one that does not do: a file that is not UTF-8.
        ("\ud800", IntegrityError),
    ],
)
def test_a_template_that_cannot_greet_is_refused_before_it_is_served(
    tmp_path: Path, template: str, kind: type[ApplianceError]
):
    with pytest.raises(kind) as caught:
        words(with_template(tmp_path, template))
    assert caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": float("nan")},
        {"temperature": -1},
        {"temperature": 10**400},
        {"temperature": "0.7"},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": 0.5},
        {"top_k": float("inf")},
        {"top_k": -2},
        {"repetition_penalty": 0},
        {"eos_token_id": VOCABULARY},
        {"eos_token_id": 2**40},
        {"eos_token_id": 2.0},
        {"eos_token_id": list(range(100))},
    ],
)
def test_settings_that_no_request_may_have_are_refused_before_they_are_served(tmp_path: Path, settings: dict[str, Any]):
    with pytest.raises(IntegrityError):
        words(with_template(tmp_path, CHAT_TEMPLATE, **settings))


@pytest.mark.parametrize(("stated", "expected"), [(-1, 0), (0, 0), (20, 20), (10**9, 263)])
def test_a_count_of_likeliest_tokens_means_what_it_means_in_a_request(tmp_path: Path, stated: int, expected: int):
    assert words(with_template(tmp_path, CHAT_TEMPLATE, top_k=stated)).settings.generation.top_k == expected


def test_more_tokens_than_embedding_rows_are_refused(tmp_path: Path):
    make_tiny_checkpoint(tmp_path)
    with refused(UnsupportedError, 259, 100):
        Words.of(open_checkpoint(files_in(tmp_path)), 100)


def test_a_tokenizer_whose_bytes_the_engine_cannot_name_is_refused(tmp_path: Path):
    make_tiny_checkpoint(tmp_path)
    document = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**document, "decoder": {"type": "Fuse"}}))
    with pytest.raises(UnsupportedError, match="decoder"):
        check_checkpoint(files_in(tmp_path))


def test_a_checkpoint_that_can_be_exported_passes_the_check(tmp_path: Path):
    check_checkpoint(files_in(with_template(tmp_path, templates.QWEN3, temperature=0.6, top_p=0.95, top_k=20)))
