"""How the publisher means a checkpoint to be used: chat template, end tokens, sampling defaults. It invents nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from appliance.artefact.manifest import CHAT_TEMPLATE, Generation
from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint import Checkpoint
from export.checkpoint.safetensors_checkpoint import read_json

# Kept between the stages of an export.
SETTINGS = "settings.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
# Qwen's chat models end a turn with the first and a document with the second, whichever of them the files name.
_QWEN_ENDS = ("<|im_end|>", "<|endoftext|>")
_ENDS: Mapping[str, tuple[str, ...]] = {"qwen2": _QWEN_ENDS, "qwen3": _QWEN_ENDS}


@dataclass(frozen=True)
class Settings:
    """What the manifest says about words.

    Attributes:
        tokens: of the tokenizer.
        generation: see `generation`.
    """

    tokens: int
    generation: Generation

    def to_bytes(self) -> bytes:
        """The settings as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Settings:
        """Parse what `to_bytes` wrote."""
        value = json.loads(content)
        ends = tuple(value["generation"].pop("eos_token_ids"))
        return cls(value["tokens"], Generation(eos_token_ids=ends, **value["generation"]))

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Read them from the stage that keeps them."""
        return cls.from_bytes((folder / SETTINGS).read_bytes())


def chat_template(checkpoint: Checkpoint) -> str | None:
    """Return the chat template's Jinja source, or None for a base model.

    Raises:
        IntegrityError: a file that should hold it is damaged.
        UnsupportedError: it holds several templates and none of them is the default.
    """
    if checkpoint.metadata:
        template = checkpoint.metadata.get("tokenizer.chat_template")
    elif CHAT_TEMPLATE in checkpoint.files:
        return _text(checkpoint, CHAT_TEMPLATE)
    else:
        template = _json(checkpoint, TOKENIZER_CONFIG).get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        if "default" not in named:
            raise UnsupportedError("the model has several chat templates and none is called 'default'")
        template = named["default"]
    if template is not None and not isinstance(template, str):
        raise IntegrityError("the model's chat template is not a text", hint="pull the model again")
    return template or None


def generation(checkpoint: Checkpoint, tokenizer: Tokenizer) -> Generation:
    """Return the publisher's settings; neutral ones where the files have none, as GGUF files never do.

    Raises:
        IntegrityError: a file that should hold them is damaged, or a value is of the wrong type.
        UnsupportedError: no token ends a completion.
    """
    published = _json(checkpoint, GENERATION_CONFIG)
    words = _json(checkpoint, TOKENIZER_CONFIG)
    ends = tuple(_end_tokens(checkpoint, published, tokenizer))
    if not ends:
        raise UnsupportedError(
            "no token of the model ends a completion", hint=f"state eos_token_id in {GENERATION_CONFIG}"
        )
    # A publisher who decodes greedily by default has not chosen the sampling numbers.
    samples = published if published.get("do_sample", True) else {}
    return Generation(
        eos_token_ids=ends,
        bos_token=_token_text(words.get("bos_token")),
        eos_token=tokenizer.id_to_token(ends[0]) or "",
        temperature=float(_number(samples, "temperature", 1.0)),
        top_p=float(_number(samples, "top_p", 1.0)),
        top_k=int(_number(samples, "top_k", 0)),
        repetition_penalty=float(_number(samples, "repetition_penalty", 1.0)),
    )


def _end_tokens(checkpoint: Checkpoint, published: Mapping[str, Any], tokenizer: Tokenizer) -> Iterable[int]:
    """Return every token that ends a completion, the publisher's first choice first."""
    known = _ENDS.get(str(checkpoint.config.get("model_type")), ())
    candidates = [
        *_ids(published.get("eos_token_id")),
        *_ids(checkpoint.config.get("eos_token_id")),
        *(tokenizer.token_to_id(text) for text in known),
    ]
    return dict.fromkeys(token for token in candidates if token is not None)


def _ids(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    if not all(item is None or (isinstance(item, int) and item >= 0) for item in values):
        raise IntegrityError(f"eos_token_id is {value!r}, expected token ids", hint="pull the model again")
    return [item for item in values if item is not None]


def _number(settings: Mapping[str, Any], key: str, neutral: float) -> float:
    value = settings.get(key)
    if value is None:
        return neutral
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise IntegrityError(f"{GENERATION_CONFIG} has {key} {value!r}, expected a number", hint="pull the model again")
    return value


def _token_text(value: Any) -> str:
    """A token as tokenizer_config.json states it: a text, an object with `content`, or nothing."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _json(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    return read_json(checkpoint.files[name], name) if name in checkpoint.files else {}


def _text(checkpoint: Checkpoint, name: str) -> str:
    try:
        return checkpoint.files[name].read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{name} is not UTF-8: {error}", hint="pull the model again") from error
