"""An embedding model's tokenizer, tested as serving will use it, and the settings of its task."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, normalizers

from appliance.artefact.manifest import TOKENIZER, Embedding
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint import Checkpoint
from export.embedding.reading import EmbeddingModel
from export.generation import SETTINGS
from export.tokenizer import token_count, tokenizer_json

# A text of a few tokens, with a letter that most tokenizers do not know.
_PROBE = "one two \U00010380"


@dataclass(frozen=True)
class Words:
    """The artefact's files and settings besides the graph.

    Attributes:
        tokenizer: content of tokenizer.json.
        task: the settings for the manifest.
    """

    tokenizer: bytes
    task: Embedding

    @classmethod
    def of(cls, checkpoint: Checkpoint, model: EmbeddingModel) -> Words:
        """Read them and test them.

        1. The tokenizer loads, and has at most as many tokens as the embedding has rows.
        2. It puts the same special tokens around every text.
        3. A text with the longest prefix has at least one token of its own.

        Raises:
            IntegrityError: a file is damaged, or a value in it is wrong.
            UnsupportedError: they contain an unsupported feature.
        """
        content = tokenizer_json(checkpoint)
        tokenizer = load_tokenizer(content, hint="get the files again")
        tokens = token_count(tokenizer)
        if tokens > model.encoder.vocabulary:
            raise UnsupportedError(
                f"the tokenizer has {tokens} tokens, but the model's embedding has {model.encoder.vocabulary} rows"
            )
        if model.preparation.lowercase:
            lower = normalizers.Lowercase()
            own = tokenizer.normalizer
            tokenizer.normalizer = lower if own is None else normalizers.Sequence([lower, own])
            content = tokenizer.to_str().encode()
        first, last = _special_tokens(tokenizer)
        task = _task(model, first, last)
        _check_room(tokenizer, task)
        return cls(content, task)

    def write(self, folder: Path) -> None:
        """Write the files into the folder."""
        (folder / TOKENIZER).write_bytes(self.tokenizer)
        (folder / SETTINGS).write_text(json.dumps(dataclasses.asdict(self.task), sort_keys=True), encoding="utf-8")


def _task(model: EmbeddingModel, first: tuple[int, ...], last: tuple[int, ...]) -> Embedding:
    """The settings, within the bounds of a manifest."""
    fields = {
        "dimensions": model.encoder.hidden,
        "max_tokens": model.preparation.max_tokens,
        "pooling": model.pooling.mode,
        "normalised": model.pooling.normalise,
        "vocabulary": model.encoder.vocabulary,
        "first_token_ids": first,
        "last_token_ids": last,
        "prefixes": model.preparation.prefixes,
    }
    try:
        return Embedding.from_fields(fields)
    except ValueError as error:
        raise UnsupportedError(f"the model cannot be used: {error}", hint="get the publisher's files again") from error


def read_task(folder: Path) -> Embedding:
    """Read the task's settings from their stage's folder, which is verified."""
    return Embedding.from_fields(json.loads((folder / SETTINGS).read_bytes()))


def _special_tokens(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens before and after every text."""
    try:
        encoded, plain = tokenizer.encode(_PROBE), tokenizer.encode(_PROBE, add_special_tokens=False).ids
    except Exception as error:  # the library raises bare Exception, for example if it has no token for unknown letters
        raise IntegrityError(f"{TOKENIZER} cannot encode a text: {error}", hint="get the files again") from error
    own = [at for at, is_special in enumerate(encoded.special_tokens_mask) if not is_special]
    begin, end = (own[0], own[-1] + 1) if own else (0, 0)
    first, last = tuple(encoded.ids[:begin]), tuple(encoded.ids[end:])
    if not first or not last or encoded.ids[begin:end] != plain or any(encoded.type_ids):
        raise UnsupportedError(
            f"{TOKENIZER} makes the tokens {encoded.ids} with the types {encoded.type_ids} of the text {plain}; an "
            "encoder needs special tokens before and after it, and the type 0",
            hint=f"get the publisher's {TOKENIZER}, whose post_processor adds these tokens",
        )
    return first, last


def _check_room(tokenizer: Tokenizer, task: Embedding) -> None:
    for prefix in ("", *task.prefixes.values()):
        length = len(tokenizer.encode(prefix).ids)
        if length >= task.max_tokens:
            raise UnsupportedError(
                f"the prefix and the special tokens of a text have {length} tokens, but a text has at most "
                f"{task.max_tokens}",
                hint="correct the limit (max_seq_length) or the prompts in the model's files, and pull the model again",
            )
