"""Versions of the libraries that decide an artefact's bytes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from export import versions


def test_onnx_runtime_is_found_under_the_name_it_has_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"onnxruntime-gpu": "1.31.1", "numpy": "1.26.4"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(versions, "version", version)
    assert versions.versions(("numpy", "onnxruntime")) == {"numpy": "1.26.4", "onnxruntime": "1.31.1"}
    with pytest.raises(PackageNotFoundError):
        versions.versions(("onnx",))
