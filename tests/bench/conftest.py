"""What tests of whole runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.layout import Layout
from tests.default_preset import any_loss
from tests.gguf_files import make_tiny_gguf
from tests.installed import install_checkpoint


@pytest.fixture(scope="session", autouse=True)
def _any_loss() -> Iterator[None]:
    with any_loss():
        yield


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A box with a model called "tiny" installed as one GGUF file."""
    folder = tmp_path_factory.mktemp("box")
    layout = Layout(root=folder / "root", cache=folder / "cache")
    install_checkpoint(layout, "tiny", {"tiny.gguf": make_tiny_gguf(folder / "tiny.gguf", kind="Q8_0")})
    return layout
