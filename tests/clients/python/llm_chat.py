"""llm, the command line, with a model that its user has described in `extra-openai-models.yaml`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.clients.python.box import Box


def llm(box: Box, *words: str, key: str = "", fails: bool = False) -> str:
    folder = Path.home() / "llm"
    folder.mkdir(exist_ok=True)
    model = {
        "model_id": "box",
        "model_name": box.model,
        "api_base": box.v1,
        "api_key_name": "box",
        "supports_tools": True,
    }
    # JSON is YAML.
    (folder / "extra-openai-models.yaml").write_text(json.dumps([{**model, "supports_schema": True}]))
    (folder / "keys.json").write_text(json.dumps({"box": key or box.key}))
    command = [str(Path(sys.executable).parent / "llm"), *words]
    own = {**os.environ, "LLM_USER_PATH": str(folder)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=own, stdin=subprocess.DEVNULL)
    assert (ended.returncode != 0) is fails, ended.stderr
    return ended.stderr if fails else ended.stdout


def chat(box: Box) -> None:
    answer = llm(box, "-m", "box", "--no-stream", "-s", "You are brief.", "What is the capital of France?")
    assert "Paris" in answer


def stream(box: Box) -> None:
    assert "Paris" in llm(box, "-m", "box", "-o", "temperature", "0", "What is the capital of France?")


def turns(box: Box) -> None:
    llm(box, "-m", "box", "-o", "temperature", "0", "My name is Ada. Remember it.")
    assert "Ada" in llm(box, "-c", "What is my name? Answer with one word.")


def schema(box: Box) -> None:
    answer = llm(box, "-m", "box", "--schema", "name, country", "Where is the Eiffel tower?")
    assert json.loads(answer).keys() == {"name", "country"}


def tools(box: Box) -> None:
    function = "def get_weather(city: str) -> str:\n    'Get the weather in a city.'\n    return 'clear, 21 degrees'\n"
    asked = "What is the weather in Paris? Call the tool get_weather."
    answer = llm(box, "-m", "box", "-o", "temperature", "0", "--td", "--functions", function, asked)
    assert "21" in answer


def errors(box: Box) -> None:
    assert "key" in llm(box, "-m", "box", "Hello", key="wrong", fails=True)
