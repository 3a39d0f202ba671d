"""`python -m appliance.cli.demo MODEL`: what `make demo` does: pull, export, serve, ask, print the next steps.

It runs the same commands that a person would type, and stops the box at the end. Whatever would stop the box from
starting is an error before the first command: the export takes minutes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.cli.box import Box
from appliance.cli.rim import reported
from appliance.errors import PortTakenError, UsageError
from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState

PROMPT = "In one sentence: why would a factory run its own language model?"
_APPLIANCE = [sys.executable, "-m", "appliance.cli"]
_POLL_S = 0.1
_HOW_TO_GO_ON = """
To serve it until Ctrl-C:

    {command} up {model}

and then, in another terminal:

    curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\
         -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

or with the openai package:

    from openai import OpenAI
    client = OpenAI(base_url="{url}/v1", api_key="none")
    answer = client.chat.completions.create(
        model="{model}", messages=[{{"role": "user", "content": "Hello!"}}])
    print(answer.choices[0].message.content)
"""


def main(model: str) -> int:
    """Run the demo with a model of the catalogue. Returns the exit status of the first command that failed."""
    return demonstrate([model], _ask)


def demonstrate(models: Sequence[str], ask: Callable[[UpState], int]) -> int:
    """Pull, export and serve models of the catalogue, and ask them.

    Args:
        models: their names.
        ask: asks the box, and prints how to go on; returns an exit status.

    Returns:
        The exit status of the first command that failed.
    """
    # The commands are ours to wait for: Ctrl-C reaches them too, and they end in order.
    signal.signal(signal.SIGINT, lambda *_: None)
    return reported(lambda: _demonstrate(Box.from_environment(None), models, ask))


def _demonstrate(box: Box, models: Sequence[str], ask: Callable[[UpState], int]) -> int:
    check_can_serve(box)
    for model in models:
        for words in (["model", "pull", model], ["export", model, "--target", "cpu"]):
            if status := _run(*words):
                return status
    return serve_and_ask(box, models, ask)


def check_can_serve(box: Box) -> None:
    """Check that the demo can start a box here, and that a client needs no key and no certificate for it.

    Raises:
        UsageError: a box runs here, or clients need a key or TLS.
        PortTakenError: another program listens on an address of the box.
    """
    box.check_readable()
    up = state.read(box.layout.run)
    if up is not None:
        raise UsageError(
            f"a box is already serving {', '.join(up.names)} at {up.url} (process {up.pid})",
            hint='ask that box: appliance chat "What is an inode?"; or stop it (Ctrl-C), and run make demo again',
        )
    policy = Policy.from_config(box.config.access, box.layout)
    if policy.has_authentication or policy.tls is not None:
        raise UsageError(
            f"clients of the box in {box.layout.root} need an API key or TLS, and the demo uses neither",
            hint="give the demo a folder of its own: APPLIANCE_ROOT=FOLDER make demo",
        )
    serve = box.config.serve
    _check_free(box, "http_address", serve.http_address, "the HTTP API")
    _check_free(box, "grpc_address", serve.grpc_address, "the gRPC API")
    _check_free(box, "metrics_address", serve.metrics_address, "the metrics")


def _check_free(box: Box, key: str, address: str, purpose: str) -> None:
    try:
        Address.from_text(address).check_free(purpose)
    except PortTakenError as error:
        raise PortTakenError(
            error.message,
            hint=f"stop the other program (perhaps another box), or set {key} below [serve] in "
            f"{box.layout.config_file}",
        ) from error


def serve_and_ask(box: Box, models: Sequence[str], ask: Callable[[UpState], int]) -> int:
    """Serve exported models, ask them, and stop the box; see `demonstrate`."""
    with subprocess.Popen([*_APPLIANCE, "up", *models]) as serving:
        try:
            up = _wait_until_serving(box.layout.run, serving)
            return ask(up) if up is not None else serving.wait() or 1
        finally:
            if serving.poll() is None:
                serving.send_signal(signal.SIGTERM)


def _wait_until_serving(run: Path, serving: subprocess.Popen[bytes]) -> UpState | None:
    """The state of our box when it serves; None if it ended."""
    while serving.poll() is None:
        up = state.read(run)
        # If another box was started here since the check, ours is about to end.
        if up is not None and up.pid == serving.pid and up.phase is Phase.SERVING:
            return up
        time.sleep(_POLL_S)
    return None


def _ask(up: UpState) -> int:
    print(f"\n> {PROMPT}\n", flush=True)  # noqa: T201 - a program for people
    status = _run("chat", PROMPT)
    if status == 0:
        command = Path(sys.executable).with_name("appliance")
        print(_HOW_TO_GO_ON.format(command=command, url=up.url, model=up.default_model.name))  # noqa: T201
    return status


def _run(*words: str) -> int:
    return subprocess.run([*_APPLIANCE, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
