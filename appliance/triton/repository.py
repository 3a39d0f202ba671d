"""Renders Triton's model repository: each model's configuration, by Triton's own schema, and the shim's files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

import appliance
from appliance.artefact.manifest import EMBEDDING, RERANKING, TEXT_GENERATION
from appliance.errors import MissingProgramError
from appliance.inference.served import ServedModelSettings
from appliance.inference.tensors import (
    EMBEDDING_INPUTS,
    EMBEDDING_OUTPUTS,
    INPUTS,
    OUTPUTS,
    RERANKING_INPUTS,
    RERANKING_OUTPUTS,
)
from appliance.names import check_name
from appliance.triton.model_process import PROGRAM, VERSION

_PACKAGE = Path(appliance.__file__).parent
# The first path is of an installed package, the second of a working copy.
_TEMPLATES = (_PACKAGE / "_model_repository", _PACKAGE.parent / "model_repository")
# The folder of each task's files; the files of the folder `shared` belong to every task.
_FOLDERS = {TEXT_GENERATION: "text_generation", EMBEDDING: "pooling", RERANKING: "pooling"}
_TENSORS = {
    TEXT_GENERATION: (INPUTS, OUTPUTS),
    EMBEDDING: (EMBEDDING_INPUTS, EMBEDDING_OUTPUTS),
    RERANKING: (RERANKING_INPUTS, RERANKING_OUTPUTS),
}
_SHARED = "shared"
CONFIGURATION = "config.pbtxt"


def configuration(model: ServedModelSettings) -> str:
    """The text of a model's `config.pbtxt`."""
    config = model_config_pb2.ModelConfig(name=check_name(model.name, "model"), backend="python", max_batch_size=0)
    inputs, outputs = _TENSORS[model.task]
    for tensor in inputs:
        data_type = model_config_pb2.DataType.Value(tensor.data_type)
        config.input.add(name=tensor.name, data_type=data_type, dims=[tensor.size], optional=True)
    for tensor in outputs:
        data_type = model_config_pb2.DataType.Value(tensor.data_type)
        config.output.add(name=tensor.name, data_type=data_type, dims=[tensor.size])
    config.instance_group.add(count=1, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
    config.model_transaction_policy.decoupled = True
    config.parameters["artefact"].string_value = str(model.artefact)
    config.parameters["engine"].string_value = model.engine.to_json()
    return str(text_format.MessageToString(config, as_utf8=True))


def shim(task: str) -> dict[str, bytes]:
    """The Python files of a task's model, by name.

    Raises:
        MissingProgramError: the installation is incomplete.
    """
    for folder in _TEMPLATES:
        if (folder / _FOLDERS[task] / VERSION / PROGRAM).is_file():
            paths = [*(folder / _FOLDERS[task] / VERSION).glob("*.py"), *(folder / _SHARED).glob("*.py")]
            return {path.name: path.read_bytes() for path in paths}
    raise MissingProgramError("the template of the model repository is missing", hint="install the appliance again")


def render(repository: Path, models: Sequence[ServedModelSettings]) -> None:
    """Write the repository for exactly these models.

    A correct folder is not written again: a server can be restarted while the disk is full. The folder of a model that
    is no longer served is removed, because Triton loads all models that it finds.

    Raises:
        MissingProgramError: the installation is incomplete.
        OSError: the repository cannot be written.
    """
    wanted = {}
    for model in models:
        folder = repository / model.name
        wanted[folder] = {folder / VERSION / name: content for name, content in shim(model.task).items()}
        wanted[folder][folder / CONFIGURATION] = configuration(model).encode()
    repository.mkdir(parents=True, exist_ok=True)
    for found in repository.iterdir():
        if found not in wanted:
            _remove(found)
    for folder, files in wanted.items():
        if not _holds(folder, files):
            _remove(folder)
            (folder / VERSION).mkdir(parents=True)
            for path, content in files.items():
                path.write_bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _holds(folder: Path, files: Mapping[Path, bytes]) -> bool:
    """Whether the folder has exactly these files, apart from compiled Python files."""
    found = {path for path in folder.rglob("*") if not path.is_dir() and path.parent.name != "__pycache__"}
    return found == files.keys() and all(path.read_bytes() == content for path, content in files.items())
