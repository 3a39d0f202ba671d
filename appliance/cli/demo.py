"""`python -m appliance.cli.demo MODEL`: the part of `make demo` after the export: serve, ask, print the next steps.

It runs the same commands that a person would type, and stops the box if it started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from appliance.layout import Layout
from appliance.supervisor import state
from appliance.supervisor.state import Phase

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
    """Ask the running box, or start one. Returns the exit status of the first command that failed.

    Args:
        model: the model to serve if no box runs; a running box may serve another.
    """
    run = Layout.from_environment(os.environ).run
    if state.read(run) is not None:
        return _ask(run)
    with subprocess.Popen([*_APPLIANCE, "up", model]) as box:
        try:
            if not _wait_until_serving(run, box):
                return box.wait() or 1
            return _ask(run)
        finally:
            if box.poll() is None:
                box.send_signal(signal.SIGTERM)


def _wait_until_serving(run: Path, box: subprocess.Popen[bytes]) -> bool:
    while box.poll() is None:
        up = state.read(run)
        if up is not None and up.phase is Phase.SERVING:
            return True
        time.sleep(_POLL_S)
    return False


def _ask(run: Path) -> int:
    print(f"\n> {PROMPT}\n", flush=True)  # noqa: T201 - a program for people
    status = subprocess.run([*_APPLIANCE, "chat", PROMPT], check=False).returncode
    up = state.read(run)
    if status == 0 and up is not None:
        command = Path(sys.executable).with_name("appliance")
        print(_HOW_TO_GO_ON.format(command=command, url=up.url, model=up.default_model.name))  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
