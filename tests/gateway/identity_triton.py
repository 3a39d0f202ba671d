"""A real tritonserver with a model of the test's own; without one, it answers one tensor with the same."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from appliance.address import Address
from appliance.gateway.server import Gateway
from appliance.gateway.settings import OfferedModel, Settings
from appliance.triton import shared_memory, sockets
from appliance.triton.environment import prepare_backends, server_environment
from appliance.triton.locate import locate
from appliance.triton.options import ServerOptions, arguments, known_options
from tests.gateway.harness import LoopThread
from tests.waiting import wait_until

NAME = "identity"
_CONFIGURATION = """\
name: "identity"
backend: "python"
max_batch_size: 0
input { name: "in" data_type: TYPE_FP32 dims: -1 }
output { name: "out" data_type: TYPE_FP32 dims: -1 }
instance_group { count: 1 kind: KIND_CPU }
"""
_PROGRAM = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("out", request.inputs()[0].as_numpy())])
            for request in requests
        ]
"""


class IdentityTriton:
    """Runs while the block does."""

    def __init__(
        self, root: Path, name: str = NAME, configuration: str = _CONFIGURATION, program: str = _PROGRAM
    ) -> None:
        self._root = root
        self._name = name
        (root / "models" / name / "1").mkdir(parents=True)
        (root / "models" / name / "config.pbtxt").write_text(configuration)
        (root / "models" / name / "1" / "model.py").write_text(program)
        self.sockets = root / "triton"
        self._owner = shared_memory.owner(root)

    def __enter__(self) -> IdentityTriton:  # noqa: PYI034 - Self came with Python 3.11
        installation = locate(os.environ)
        environment = server_environment(installation, os.environ)
        options = ServerOptions(
            repository=self._root / "models",
            backends=prepare_backends(installation, self._root / "backends"),
            sockets=Path(self.sockets.name),
            models=(self._name,),
            shared_memory_prefix=shared_memory.fresh_prefix(self._owner),
            exit_timeout_s=1,
        )
        command = [str(installation.program), *arguments(options, known_options(installation.program, environment))]
        self.log = self._root / "triton.log"
        sockets.prepare(self.sockets)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment, cwd=self._root, stdout=output, stderr=output)
        wait_until(lambda: self._is_ready() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        shared_memory.clean(self._owner)

    def _is_ready(self) -> bool:
        with triton.InferenceServerClient(f"unix:{self.sockets}/{sockets.GRPC}") as client:
            try:
                return bool(client.is_model_ready(self._name))
            except InferenceServerException:
                return False


@contextlib.contextmanager
def gateway_before(server: IdentityTriton, loop_thread: LoopThread, artefacts: tuple[Path, ...]) -> Iterator[str]:
    """The gRPC address of a gateway that stands before it."""
    anywhere = Address("127.0.0.1", 0)
    stack = contextlib.AsyncExitStack()

    async def start() -> Gateway:
        models = tuple(map(OfferedModel, artefacts))
        gateway = Gateway(Settings(server.sockets, anywhere, anywhere, models, anywhere, drain_s=0.2))
        await stack.enter_async_context(gateway.serving())
        return gateway

    yield str(loop_thread.run(start()).grpc.address)
    loop_thread.run(stack.aclose())
