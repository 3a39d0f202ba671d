"""Renders Triton's model repository: the configuration through Triton's own schema, and the shim's files beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

import appliance
from appliance.errors import MissingProgramError
from appliance.inference.config import EngineConfig
from appliance.inference.tensors import INPUTS, OUTPUTS
from appliance.names import check_name

_PACKAGE = Path(appliance.__file__).parent
# In an installed package, and in a working copy.
_TEMPLATES = (_PACKAGE / "_model_repository", _PACKAGE.parent / "model_repository")
_TEMPLATE = "text_generation"
CONFIGURATION = "config.pbtxt"
VERSION = "1"


def configuration(model: str, artefact: Path, engine: EngineConfig) -> str:
    """The text of `config.pbtxt`.

    Args:
        model: the model's name in Triton and for clients.
        artefact: the folder to serve.
        engine: settings of the engine.
    """
    config = model_config_pb2.ModelConfig(name=check_name(model, "model"), backend="python", max_batch_size=0)
    for tensor in INPUTS:
        data_type = model_config_pb2.DataType.Value(tensor.data_type)
        config.input.add(name=tensor.name, data_type=data_type, dims=[tensor.size], optional=True)
    for tensor in OUTPUTS:
        data_type = model_config_pb2.DataType.Value(tensor.data_type)
        config.output.add(name=tensor.name, data_type=data_type, dims=[tensor.size])
    config.instance_group.add(count=1, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
    config.model_transaction_policy.decoupled = True
    config.parameters["artefact"].string_value = str(artefact)
    config.parameters["engine"].string_value = engine.to_json()
    return str(text_format.MessageToString(config, as_utf8=True))


def template() -> Path:
    """The folder with the shim's files.

    Raises:
        MissingProgramError: the installation is not complete.
    """
    for folder in _TEMPLATES:
        if (folder / _TEMPLATE / VERSION / "model.py").is_file():
            return folder / _TEMPLATE
    raise MissingProgramError("the template of the model repository is missing", hint="install the appliance again")


def render(repository: Path, model: str, artefact: Path, engine: EngineConfig) -> Path:
    """Replace the repository by one that serves `artefact`; returns the model's folder.

    One that is right already is left alone: a server can be started again while the disk is full.

    Raises:
        MissingProgramError: the installation is not complete.
        OSError: it cannot be written.
    """
    folder = repository / model
    files = {folder / VERSION / path.name: path.read_bytes() for path in (template() / VERSION).glob("*.py")}
    files[folder / CONFIGURATION] = configuration(model, artefact, engine).encode()
    if not _holds(repository, files):
        shutil.rmtree(repository, ignore_errors=True)
        (folder / VERSION).mkdir(parents=True)
        for path, content in files.items():
            path.write_bytes(content)
    return folder


def _holds(repository: Path, files: Mapping[Path, bytes]) -> bool:
    """Whether the folder has these files and no others. What Python compiled of them is not looked at."""
    found = {path for path in repository.rglob("*") if not path.is_dir() and path.parent.name != "__pycache__"}
    return found == files.keys() and all(path.read_bytes() == content for path, content in files.items())
