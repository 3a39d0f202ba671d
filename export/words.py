"""A checkpoint's tokenizer, chat template and settings. They are tested here as serving will use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import CHAT_TEMPLATE, TOKENIZER, Generation
from appliance.artefact.tokenizer import load_tokenizer
from appliance.chat_template.running import RunningTemplate, TemplateSource
from appliance.engine import tokenizer as engine
from appliance.errors import RequestError, UnsupportedError
from export.checkpoint import Checkpoint
from export.conversation import MAX_CHARACTERS, Shown, conversation_of
from export.generation import SETTINGS, Settings, chat_template, generation
from export.tokenizer import token_count, tokenizer_json

_MEND_TEMPLATE = (
    f"correct the template ({CHAT_TEMPLATE}, or chat_template in tokenizer_config.json) and pull the model again"
)
_GREETING = ({"role": "user", "content": "Hello!"},)


@dataclass(frozen=True)
class Words:
    """The artefact's files and settings besides the graph.

    Attributes:
        tokenizer: content of tokenizer.json.
        template: source of the chat template; None for a base model.
        settings: see Settings.
        notes: lines for people about what the template has and the box does not support.
    """

    tokenizer: bytes
    template: str | None
    settings: Settings
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, checkpoint: Checkpoint, vocabulary: int) -> Words:
        """Read them, and test them as the engine and the gateway will use them.

        1. The tokenizer loads, has at most as many tokens as the embedding has rows (`vocabulary`), and each has bytes.
        2. The settings are valid for a request.
        3. The template compiles, and a greeting renders to at least one token.

        Raises:
            IntegrityError: a file is damaged, or a value in it is wrong.
            UnsupportedError: they contain an unsupported feature.
        """
        content = tokenizer_json(checkpoint)
        tokenizer = load_tokenizer(content, hint="get the files again")
        tokens = token_count(tokenizer)
        if tokens > vocabulary:
            raise UnsupportedError(
                f"the tokenizer has {tokens} tokens, but the model's embedding has {vocabulary} rows"
            )
        served = engine.Tokenizer(tokenizer)
        served.vocabulary(tokens)
        settings = generation(checkpoint, tokenizer)
        source = chat_template(checkpoint)
        shown = Shown()
        if source is not None:
            template = _tried(source, settings, served)
            shown = conversation_of(template, source, tokenizer)
            template.end()
        return cls(content, source, Settings(tokens, settings, shown.conversation), shown.notes)

    def write(self, folder: Path) -> None:
        """Write the files into the folder."""
        (folder / TOKENIZER).write_bytes(self.tokenizer)
        if self.template is not None:
            (folder / CHAT_TEMPLATE).write_bytes(self.template.encode())
        (folder / SETTINGS).write_bytes(self.settings.to_bytes())


def _tried(source: str, settings: Generation, tokenizer: engine.Tokenizer) -> RunningTemplate:
    """The compiled template, after a greeting, in a process with limits as in the gateway."""
    try:
        template = RunningTemplate(TemplateSource(source, settings.bos_token, settings.eos_token))
        rendered = template.render_now({"messages": _GREETING, "max_characters": MAX_CHARACTERS})
    except UnsupportedError as error:
        raise UnsupportedError(error.message, hint=_MEND_TEMPLATE) from error
    except RequestError as error:
        raise UnsupportedError(
            f"the chat template cannot render a short conversation: {error.message}", hint=_MEND_TEMPLATE
        ) from error
    if not tokenizer.encode(rendered, add_special_tokens=False):
        raise UnsupportedError("the chat template renders a short conversation to an empty prompt", hint=_MEND_TEMPLATE)
    return template
