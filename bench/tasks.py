"""Tasks whose answers repeat parts of their prompts: to change code, and to summarise a text.

An engine that drafts tokens from the prompt can be faster there. The texts are fixed: the text set and the licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import CHAT_TEMPLATE, TOKENIZER, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.chat_template.template import ChatTemplate
from bench.environments import ROOT
from export.quality.text_set import load_texts

EDIT, SUMMARY = "edit", "summary"
# (name of the text, instruction)
_EDITS = (
    ("code-python", "Rename the method allow to is_allowed and add type hints for all parameters."),
    ("code-c", "Rename the function lower_bound to first_not_less, also where it is called."),
    ("code-web", "Request 50 entries instead of 20 in all places."),
)
_WHOLE_CODE = "Answer with the whole changed code and nothing else."
_SUMMARY = "Summarise the following text in five sentences. Quote the important terms literally."


@dataclass(frozen=True)
class Tasks:
    """The tasks for one model.

    Attributes:
        prompts: token ids of the prompts, by the kind of the task.
        end_tokens: the tokens that end an answer.
    """

    prompts: Mapping[str, tuple[tuple[int, ...], ...]]
    end_tokens: tuple[int, ...]

    @classmethod
    def of(cls, artefact: Path, manifest: Manifest) -> Tasks:
        """The tasks as conversations in the model's own chat template, if it has one."""
        tokenizer = load_tokenizer((artefact / TOKENIZER).read_bytes())
        settings = manifest.generation
        path = artefact / CHAT_TEMPLATE
        source = path.read_text(encoding="utf-8") if path.exists() else "{{ messages[0].content }}\n"
        template = ChatTemplate(source, bos_token=settings.bos_token, eos_token=settings.eos_token)

        def encoded(question: str) -> tuple[int, ...]:
            text = template.render([{"role": "user", "content": question}])
            return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

        prompts = {kind: tuple(map(encoded, several)) for kind, several in _questions().items()}
        return cls(prompts, tuple(settings.eos_token_ids))


def _questions() -> Mapping[str, tuple[str, ...]]:
    texts = {text.name: text.content for text in load_texts()}
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    definitions, _, grants = licence.partition("   2. Grant of Copyright License.")
    long_texts = (
        texts["prose-english"] + texts["prose-technical"],
        definitions,
        grants.partition("   4. Redistribution.")[0],
    )
    return {
        EDIT: tuple(f"{wanted} {_WHOLE_CODE}\n\n```\n{texts[name]}```" for name, wanted in _EDITS),
        SUMMARY: tuple(f"{_SUMMARY}\n\n{text}" for text in long_texts),
    }
