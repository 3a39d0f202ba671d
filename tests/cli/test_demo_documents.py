"""`make demo-documents`: texts become passages, and a real box answers with those that are most similar."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli import demo, demo_documents
from appliance.cli.box import Box
from appliance.cli.demo_documents import Passage, passages_of
from appliance.errors import UsageError
from tests.refusals import refused
from tests.running_box import CONFIGURATION
from tests.tiny_artefact import TINY, make_tiny_artefact
from tests.tiny_embedder import make_tiny_embedder


def test_texts_become_passages_of_whole_paragraphs(tmp_path: Path):
    (tmp_path / "b.md").write_text(f"# One\n\n{'a ' * 300}\n\n{'b ' * 300}\n\nlast")
    (tmp_path / "a.txt").write_text("small")
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    found = passages_of(tmp_path)
    assert found[0] == Passage("a.txt", "small")
    assert [passage.source for passage in found[1:]] == ["b.md", "b.md"]
    assert found[1].text.startswith("# One\n\na a")
    assert found[2].text.endswith("last")


def test_a_folder_without_texts_is_refused_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for folder in (tmp_path, tmp_path / "absent"):
        with refused(UsageError, str(folder)):
            passages_of(folder)
        assert demo_documents.main("no-such-model", "nor-this", folder, "Why?") == UsageError.exit_code
    (tmp_path / "a.md").write_bytes(b"\xff\xfe")
    with refused(UsageError, str(tmp_path)):
        passages_of(tmp_path)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.triton
def test_a_question_is_answered_with_the_most_similar_passages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_tiny_artefact(tmp_path / "exports" / TINY / "cpu-balanced", tmp_path / "scratch")
    make_tiny_embedder(tmp_path / "exports" / "embedder" / "cpu-float32", "embedder")
    (tmp_path / "appliance.toml").write_text(CONFIGURATION.format(drain_s=1))
    monkeypatch.setenv("APPLIANCE_ROOT", str(tmp_path))
    passages = [Passage("p.md", "the pump is hot"), Passage("q.md", "one two")] + [Passage("r.md", "query")] * 3

    def ask(up: demo.UpState) -> int:
        return demo_documents._ask("embedder", passages, "the pump is hot", up)

    assert demo.serve_and_ask(Box.from_environment(None), [TINY, "embedder"], ask) == 0
    said = capsys.readouterr().out
    shown = said[said.index("The passages") :].splitlines()[1:]
    assert len(shown) == 3
    assert shown[0].strip() == "1.00  p.md: the pump is hot"
