"""docs/quality.md: the figures of the box beside those of the reference."""

from __future__ import annotations

from collections.abc import Mapping

from tests.quality.harness import TASKS, Figure, Figures
from tests.real_model import NAME

_PAGE = """\
# Quality, measured by another program

`make quality` generates this page. lm-evaluation-harness {lm_eval}, unmodified, asks a real box over its HTTP API
(`{name}`, default preset), and asks torch {torch} with the same weights in 32-bit floats
(the harness's model type `hf`). After ±: the standard error that the harness reports.

| task | prompt | metric | box | torch |
|---|---|---|---|---|
{rows}

The tasks are in [{tasks}](../{tasks}): `appliance_capitals` compares log-likelihoods of four answers (60 questions),
`appliance_pages` sums log-likelihoods over 50 paragraphs, and `appliance_sums` generates text (60 questions).

To evaluate a box with any task of the harness:

```sh
OPENAI_API_KEY=KEY lm_eval --model local-completions --tasks TASK --model_args \\
  model={name},base_url=http://127.0.0.1:8080/v1/completions,tokenizer=FOLDER,num_concurrent=4
```

`FOLDER` contains the `tokenizer.json` of the model. For tasks that generate text, `local-chat-completions` with
`/v1/chat/completions` and `--apply_chat_template` uses the chat template.
"""


def page(ours: Mapping[str, Figures], theirs: Mapping[str, Figures], versions: Mapping[str, str]) -> str:
    """The page as Markdown; `ours` and `theirs` are by kind of prompt."""
    rows = [
        f"| `{task}` | {kind} | {metric} | {_text(ours[kind][task, metric])} | {_text(figure)} |"
        for kind, figures in theirs.items()
        for (task, metric), figure in figures.items()
    ]
    return _PAGE.format(name=NAME, tasks=TASKS, rows="\n".join(rows), **versions)


def _text(figure: Figure) -> str:
    return f"{figure.value:.4f}" + (f" ± {figure.error:.4f}" if figure.error is not None else "")
