"""`python -m appliance.cli.demo_documents CHAT_MODEL EMBEDDER FOLDER QUESTION`: what `make demo-documents` does.

It serves a chat model and an embedding model, finds the passages of the folder's texts that are most similar to the
question, and lets the chat model answer with them. A program of one's own does the same with OpenAI's client: see
docs/embeddings.md.
"""

from __future__ import annotations

import functools
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.cli.demo import demonstrate
from appliance.cli.progress import progress
from appliance.cli.rim import reported
from appliance.errors import EngineError, UsageError
from appliance.supervisor.state import UpState

_SUFFIXES = (".md", ".txt", ".rst")
_PASSAGE_CHARACTERS = 800
_SHOWN = 3
_BATCH = 64
_TIMEOUT_S = 600.0
_ASKED = "Answer the question with the passages, in two or three sentences. If they do not answer it, say so."


@dataclass(frozen=True)
class Passage:
    """A part of a text.

    Attributes:
        source: the file, relative to the folder.
        text: some whole paragraphs.
    """

    source: str
    text: str


def passages_of(folder: Path) -> list[Passage]:
    """The passages of all texts directly in the folder.

    Raises:
        UsageError: the folder has no text, or a text cannot be read.
    """
    found: list[Passage] = []
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix in _SUFFIXES and path.is_file():
                found += [Passage(path.name, text) for text in _parts(path.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder}: {error}", hint="name a folder with readable UTF-8 texts") from error
    if not found:
        raise UsageError(f"{folder} has no text", hint=f"name a folder with files that end with {', '.join(_SUFFIXES)}")
    return found


def main(chat_model: str, embedder: str, folder: Path, question: str) -> int:
    """Run the demo. Returns the exit status of the first step that failed."""

    def run() -> int:
        passages = passages_of(folder)
        return demonstrate([chat_model, embedder], functools.partial(_ask, embedder, passages, question))

    return reported(run)


def _ask(embedder: str, passages: Sequence[Passage], question: str, up: UpState) -> int:
    return reported(lambda: _answer(embedder, passages, question, up))


def _answer(embedder: str, passages: Sequence[Passage], question: str, up: UpState) -> int:
    vectors: list[list[float]] = []
    texts = [question, *(passage.text for passage in passages)]
    with progress("computing the vectors of the passages", len(texts), "texts") as advance:
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            asked = {"model": embedder, "input": batch, "truncate_prompt_tokens": -1}
            vectors += [each["embedding"] for each in _post(up, "/v1/embeddings", asked)["data"]]
            advance(len(batch))
    wanted, *rest = vectors
    scores = [sum(map(float.__mul__, wanted, vector)) for vector in rest]
    best = sorted(range(len(passages)), key=lambda index: -scores[index])[:_SHOWN]
    print(f"\n> {question}\n", flush=True)  # noqa: T201 - a program for people
    context = "\n\n".join(passages[index].text for index in best)
    turns = [{"role": "user", "content": f"{context}\n\n{_ASKED}\n\nQuestion: {question}"}]
    body = {"model": up.default_model.name, "messages": turns, "temperature": 0, "max_tokens": 200}
    print(_post(up, "/v1/chat/completions", body)["choices"][0]["message"]["content"])  # noqa: T201
    print("\nThe passages that the model saw:")  # noqa: T201
    for index in best:
        print(f"  {scores[index]:.2f}  {passages[index].source}: {passages[index].text.splitlines()[0][:80]}")  # noqa: T201
    return 0


def _parts(text: str) -> Iterator[str]:
    part = ""
    for paragraph in filter(None, map(str.strip, text.split("\n\n"))):
        if part and len(part) + len(paragraph) > _PASSAGE_CHARACTERS:
            yield part
            part = ""
        part = f"{part}\n\n{paragraph}" if part else paragraph
    if part:
        yield part


def _post(up: UpState, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(  # noqa: S310 - the box's own address
        f"{up.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    # A proxy from the environment cannot reach the box on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise EngineError(f"the box refuses the request: {json.load(error)['error']['message']}") from error
    except OSError as error:
        raise EngineError(f"the box does not answer: {error}", hint="appliance status shows how it is doing") from error


if __name__ == "__main__":
    chat_model, embedder, folder, question = sys.argv[1:]
    sys.exit(main(chat_model, embedder, Path(folder), question))
