"""What makes a route fall back, each done to the running box in the way in which it happens."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from appliance.artefact.manifest import MANIFEST_NAME
from appliance.cli import gateway
from appliance.cli.box import Box
from appliance.errors import ApplianceError, UnavailableError
from appliance.site.policy import Policy
from appliance.supervisor import state
from appliance.triton.model_process import model_processes
from appliance.triton.repository import CONFIGURATION

Trigger = Callable[[Box, str], AbstractContextManager[None]]
_LOAD_S = 600.0


@contextmanager
def process_ends(box: Box, model: str) -> Iterator[None]:
    """Kill the model's process, as the kernel does when memory is short. The box loads the model again."""
    os.kill(_process(box, model), signal.SIGKILL)
    yield


@contextmanager
def process_hangs(box: Box, model: str) -> Iterator[None]:
    """Stop the model's process inside the block: its requests reach their deadlines."""
    pid = _process(box, model)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def files_are_damaged(box: Box, model: str) -> Iterator[None]:
    """Load the model from a copy with one wrong byte: it fails the verification of its files."""
    up = state.read(box.layout.run)
    served = next(each for each in up.models if each.name == model) if up is not None else None
    if served is None:
        raise UnavailableError("this box is not serving the model", hint=f"start it: appliance up {model}")
    original = Path(served.artefact)
    with tempfile.TemporaryDirectory(prefix="drill-", dir=box.layout.run) as folder:
        copy = Path(folder)
        (copy / MANIFEST_NAME).write_bytes((original / MANIFEST_NAME).read_bytes())
        smallest = min(
            (path for path in original.iterdir() if path.name != MANIFEST_NAME), key=lambda path: path.stat().st_size
        )
        content = bytearray(smallest.read_bytes())
        content[len(content) // 2] ^= 1
        (copy / smallest.name).write_bytes(content)
        with _loaded_from(box, model, copy):
            yield


@contextmanager
def load_fails(box: Box, model: str) -> Iterator[None]:
    """Load the model from a folder that does not exist."""
    with _loaded_from(box, model, box.layout.run / "drill-without-a-folder"):
        yield


@contextmanager
def operator_unloads(box: Box, model: str) -> Iterator[None]:
    """Unload the model inside the block, as `appliance model unload` does."""
    gateway.order(box, f"/models/{model}/unload", _LOAD_S)
    try:
        yield
    finally:
        gateway.order(box, f"/models/{model}/load", _LOAD_S)


@contextmanager
def policy_refuses(box: Box, model: str) -> Iterator[None]:
    """Refuse the model inside the block, as `appliance policy refuse` does."""
    before = Policy.load(box.layout.policy)
    before.refusing([model], [], []).save(box.layout.policy)
    try:
        gateway.order(box, "/decisions")
        yield
    finally:
        before.save(box.layout.policy)
        gateway.order(box, "/decisions")


# The gentle ones come first: after a crash or a hang, the box may have to start Triton again.
TRIGGERS: Mapping[str, Trigger] = MappingProxyType(
    {
        "policy": policy_refuses,
        "operator": operator_unloads,
        "integrity": files_are_damaged,
        "load": load_fails,
        "crash": process_ends,
        "hang": process_hangs,
    }
)


@contextmanager
def _loaded_from(box: Box, model: str, folder: Path) -> Iterator[None]:
    """Load the model again from another folder, which must fail; at the end, load it from its own."""
    path = box.layout.model_repository / model / CONFIGURATION
    original = path.read_bytes()
    config = text_format.Parse(original.decode(), model_config_pb2.ModelConfig())
    # Triton works in the root folder.
    config.parameters["artefact"].string_value = os.path.relpath(folder, box.layout.root)
    gateway.order(box, f"/models/{model}/unload", _LOAD_S)
    try:
        path.write_bytes(str(text_format.MessageToString(config, as_utf8=True)).encode())
        with suppress(ApplianceError):
            gateway.order(box, f"/models/{model}/load", _LOAD_S)
        yield
    finally:
        path.write_bytes(original)
        gateway.order(box, f"/models/{model}/load", _LOAD_S)


def _process(box: Box, model: str) -> int:
    up = state.read(box.layout.run)
    processes = model_processes(up.triton_pid) if up is not None and up.triton_pid is not None else {}
    if model not in processes:
        raise UnavailableError(f"{model} has no process", hint=f"load it: appliance model load {model}")
    return processes[model].pid
