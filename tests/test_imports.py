"""Who imports whom is a rule of the architecture, held here for every module by parsing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.import_rules import imports_of, imports_under, violations

ROOT = Path(__file__).resolve().parent.parent


def test_every_module_keeps_to_its_level():
    modules = imports_under(ROOT, "appliance", "export", "model_repository")
    assert "appliance.durable" in modules
    assert violations(modules) == []


@pytest.mark.parametrize(
    ("module", "name", "reason"),
    [
        ("appliance.durable", "appliance.store", "higher level"),
        ("appliance.derived.store", "appliance.store.blobs", "neighbours"),
        ("appliance.errors", "appliance.layout", "higher level"),
        ("appliance.engine.engine", "appliance.cli", "higher level"),
        ("appliance.cli.up", "export.cli", "never imports it"),
        ("appliance.gateway.app", "onnxruntime", "never imports it"),
        ("appliance.engine.engine", "onnxruntime", "for everybody"),
        ("export.quality", "onnxruntime.capi", "for everybody"),
        ("appliance.engine.engine", "tritonclient.grpc", "never imports it"),
        ("appliance.cli.up", "torch", "never imports it"),
        ("export.cli", "appliance.gateway", "export may not"),
        ("export.lowering", "appliance.cli.progress", "export may not"),
        ("model_repository.language_model.1.model", "appliance.store", "model_repository may not"),
        ("appliance.novelty", "appliance.errors", "no level"),
        ("appliance.cli.up", "appliance.novelty", "no level"),
        ("appliance.gateway.chat.reader", "appliance.gateway.http.body", "higher level"),
        ("appliance.gateway.anthropic.api", "appliance.gateway.openai.choice_encoder", "neighbours"),
        ("appliance.gateway.server", "appliance.gateway.novelty", "no level"),
        ("appliance.gateway.openai.api", "appliance.gateway.triton.inference", "reserved"),
    ],
)
def test_an_offending_import_is_named(module: str, name: str, reason: str):
    found = violations({module: imports_of(f"from {name} import thing", module)})
    assert found
    assert all(module in sentence for sentence in found)
    assert any(reason in sentence for sentence in found)


def test_an_offence_through_another_module_is_named_with_its_way():
    modules = {
        "appliance.gateway.app": {"appliance.engine.tokenizer"},
        "appliance.engine": {"appliance.engine.runner"},
        "appliance.engine.tokenizer": {"tokenizers"},
        "appliance.engine.runner": {"onnx"},
    }
    way = "appliance.gateway.app -> appliance.engine -> appliance.engine.runner -> onnx"
    assert violations(modules) == [f"{way}: appliance.gateway never imports it"]


def test_imports_inside_functions_and_relative_ones_count():
    source = "def run():\n    from ..cli import main\n    import torch\n"
    assert {"appliance.cli", "torch"} <= imports_of(source, "appliance.store.blobs")


def test_a_lower_level_may_be_imported():
    assert violations({"appliance.store.blobs": {"appliance.durable", "appliance.errors", "json"}}) == []
