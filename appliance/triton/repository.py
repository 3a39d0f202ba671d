"""Renders Triton's model repository: the configuration through Triton's own schema, and the shim's files beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

import appliance
from appliance.errors import MissingProgramError
from appliance.names import check_name
from appliance.triton.contract import INPUTS, OUTPUTS

_PACKAGE = Path(appliance.__file__).parent
# In an installed package, and in a working copy.
_TEMPLATES = (_PACKAGE / "_model_repository", _PACKAGE.parent / "model_repository")
_TEMPLATE = "text_generation"
CONFIGURATION = "config.pbtxt"
VERSION = "1"


def configuration(model: str, artefact: Path, engine: Mapping[str, object]) -> str:
    """The text of `config.pbtxt`.

    Args:
        model: the model's name in Triton and for clients.
        artefact: the folder to serve.
        engine: settings of the engine by their names in EngineConfig; absent ones take its defaults.
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
    config.parameters["engine"].string_value = json.dumps(engine, sort_keys=True)
    return str(text_format.MessageToString(config, as_utf8=True))


def template() -> Path:
    """The folder with the shim's files.

    Raises:
        MissingProgramError: the installation is not complete.
    """
    for folder in _TEMPLATES:
        if (folder / _TEMPLATE / VERSION / "model.py").is_file():
            return folder / _TEMPLATE
    raise MissingProgramError("the model repository's template is missing", hint="install the appliance again")


def render(repository: Path, model: str, artefact: Path, engine: Mapping[str, object]) -> Path:
    """Replace the repository by one that serves `artefact`; returns the model's folder.

    Raises:
        MissingProgramError: the installation is not complete.
    """
    source = template() / VERSION
    text = configuration(model, artefact, engine)
    shutil.rmtree(repository, ignore_errors=True)
    folder = repository / model
    (folder / VERSION).mkdir(parents=True)
    for path in sorted(source.glob("*.py")):
        shutil.copyfile(path, folder / VERSION / path.name)
    (folder / CONFIGURATION).write_text(text, encoding="utf-8")
    return folder
