"""The publisher's chat template, end tokens and sampling defaults. Missing settings get neutral values."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from appliance.artefact.manifest import CHAT_TEMPLATE, Conversation, Generation
from appliance.errors import IntegrityError, RequestError, UnsupportedError
from appliance.inference.sampling import SamplingParams
from appliance.number import whole
from export.checkpoint import Checkpoint
from export.checkpoint.safetensors_checkpoint import read_json
from export.tokenizer import first_token, token_count

# This file passes the settings between the stages of an export.
SETTINGS = "settings.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
_SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty")
_MAX_END_TOKENS = 64
_MAX_TOKEN_CHARACTERS = 256
_MEND = "correct the file and pull the model again"
# Qwen's chat models end a turn with the first token and a document with the second, whatever their files state. So do
# SmolLM2's; Llama 3 ends a turn, a call of a tool or a document.
_CHATML_ENDS = ("<|im_end|>", "<|endoftext|>")
_LLAMA3_ENDS = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>")
_ENDS: Mapping[str, tuple[str, ...]] = {
    "llama": (*_CHATML_ENDS, *_LLAMA3_ENDS),
    "qwen2": _CHATML_ENDS,
    "qwen3": _CHATML_ENDS,
}


@dataclass(frozen=True)
class Settings:
    """The manifest's settings of tokens, generation and conversation.

    Attributes:
        tokens: number of the tokenizer's tokens.
        generation: see `generation`.
        conversation: what the model was trained for in conversations, by its own template and tokens.
    """

    tokens: int
    generation: Generation
    conversation: Conversation = field(default_factory=Conversation)

    def to_bytes(self) -> bytes:
        """The settings as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Settings:
        """Parse the output of `to_bytes`."""
        value = json.loads(content)
        ends = tuple(value["generation"].pop("eos_token_ids"))
        generation = Generation(eos_token_ids=ends, **value["generation"])
        return cls(value["tokens"], generation, Conversation(**value["conversation"]))

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Read the settings from their stage's folder."""
        return cls.from_bytes((folder / SETTINGS).read_bytes())


def chat_template(checkpoint: Checkpoint) -> str | None:
    """Return the chat template's Jinja source, or None for a base model.

    Raises:
        IntegrityError: a file that should contain the template is damaged.
        UnsupportedError: there are several templates and none is the default.
    """
    if checkpoint.metadata:
        template = checkpoint.metadata.get("tokenizer.chat_template")
    elif CHAT_TEMPLATE in checkpoint.files:
        return _text(checkpoint, CHAT_TEMPLATE)
    else:
        template = _json(checkpoint, TOKENIZER_CONFIG).get("chat_template")
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, dict) and entry.get("name") == "default"]
        if not named:
            raise UnsupportedError("the model has several chat templates, but none has the name 'default'")
        template = named[0].get("template")
    if template is not None and not isinstance(template, str):
        raise IntegrityError("the model's chat template is not a text", hint="get the files again")
    return template or None


def generation(checkpoint: Checkpoint, tokenizer: Tokenizer) -> Generation:
    """Return the publisher's settings; neutral values for what the files lack: GGUF files lack sampling settings.

    Raises:
        IntegrityError: a file that should contain them is damaged, or a value has a wrong type.
        UnsupportedError: no token ends a completion.
    """
    published = _json(checkpoint, GENERATION_CONFIG)
    words = _json(checkpoint, TOKENIZER_CONFIG)
    ends = tuple(_end_tokens(checkpoint, published, tokenizer))
    if not ends:
        raise UnsupportedError("the model has no end token", hint=f"set eos_token_id in {GENERATION_CONFIG}")
    # If the publisher's default is greedy decoding, the sampling values in the file were not chosen.
    sampling = _sampling(published if published.get("do_sample", True) else {})
    return Generation(
        eos_token_ids=ends,
        bos_token=first_token(checkpoint.metadata) if checkpoint.metadata else _token_text(words.get("bos_token")),
        eos_token=tokenizer.id_to_token(ends[0]) or "",
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        # A top_k above the number of tokens keeps all tokens, like no top_k.
        top_k=min(sampling.top_k, token_count(tokenizer)),
        repetition_penalty=sampling.repetition_penalty,
    )


def _end_tokens(checkpoint: Checkpoint, published: Mapping[str, Any], tokenizer: Tokenizer) -> Iterable[int]:
    """Return every token that ends a completion, first the publisher's first choice."""
    known = _ENDS.get(str(checkpoint.config.get("model_type")), ())
    tokens = token_count(tokenizer)
    candidates = [
        *_ids(published.get("eos_token_id"), tokens),
        *_ids(checkpoint.config.get("eos_token_id"), tokens),
        *(tokenizer.token_to_id(text) for text in known),
    ]
    return dict.fromkeys(token for token in candidates if token is not None)


def _ids(value: Any, tokens: int) -> list[int]:
    values = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
    if len(values) > _MAX_END_TOKENS:
        raise IntegrityError(f"{len(values)} end tokens are too many; the limit is {_MAX_END_TOKENS}", hint=_MEND)
    try:
        return [whole(item, least=0, most=tokens - 1) for item in values]
    except ValueError as error:
        raise IntegrityError(f"eos_token_id {error}: the tokenizer has {tokens} tokens", hint=_MEND) from error


def _sampling(published: Mapping[str, Any]) -> SamplingParams:
    """The publisher's sampling parameters, checked like a request's: they are the defaults of all requests."""
    given = {key: published[key] for key in _SAMPLING if published.get(key) is not None}
    for key, value in given.items():
        if type(value) not in {int, float}:
            raise IntegrityError(f"{GENERATION_CONFIG} has {key} {reprlib.repr(value)}, not a number", hint=_MEND)
    try:
        return SamplingParams.from_mapping(given)
    except (RequestError, ValueError, OverflowError) as error:  # a number may be too long to convert or to print
        raise IntegrityError(f"{GENERATION_CONFIG} has a value that cannot be used: {error}", hint=_MEND) from error


def _token_text(value: Any) -> str:
    """A token in tokenizer_config.json: a text, an object with `content`, or nothing."""
    if isinstance(value, dict):
        value = value.get("content")
    if isinstance(value, str) and len(value) > _MAX_TOKEN_CHARACTERS:
        raise IntegrityError(f"{TOKENIZER_CONFIG} has a token of {len(value)} characters", hint=_MEND)
    return value if isinstance(value, str) else ""


def _json(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    return read_json(checkpoint.files[name], name) if name in checkpoint.files else {}


def _text(checkpoint: Checkpoint, name: str) -> str:
    try:
        return checkpoint.files[name].read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{name} is not UTF-8: {error}", hint="get the files again") from error
