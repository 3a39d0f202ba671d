"""An embedding model's tokenizer, tested as serving will use it, and the settings of its task."""

from __future__ import annotations

from tokenizers import Tokenizer

from appliance.artefact.manifest import TOKENIZER, Embedding
from appliance.errors import IntegrityError, UnsupportedError
from export.architecture.encoder import Encoder
from export.checkpoint import Checkpoint
from export.embedding.reading import EmbeddingModel
from export.pooling.words import Words, prepared_tokenizer

# A text of a few tokens, with a letter that most tokenizers do not know.
_PROBE = "one two \U00010380"


def words_of(checkpoint: Checkpoint, model: EmbeddingModel) -> Words[Embedding]:
    """Read the tokenizer and the settings, and test them.

    1. The tokenizer loads, and has at most as many tokens as the embedding has rows.
    2. It puts the same special tokens around every text.
    3. A text with the longest prefix has at least one token of its own.

    Raises:
        IntegrityError: a file is damaged, or a value in it is wrong.
        UnsupportedError: they contain an unsupported feature.
    """
    content, tokenizer = prepared_tokenizer(checkpoint, model.body.vocabulary, lowercase=model.preparation.lowercase)
    first, last = _special_tokens(tokenizer, begins=isinstance(model.body, Encoder))
    task = _task(model, first, last)
    _check_room(tokenizer, task)
    return Words(content, task)


def _task(model: EmbeddingModel, first: tuple[int, ...], last: tuple[int, ...]) -> Embedding:
    """The settings, within the bounds of a manifest."""
    fields = {
        "dimensions": model.body.hidden,
        "max_tokens": model.preparation.max_tokens,
        "pooling": model.pooling.mode,
        "normalised": model.pooling.normalise,
        "vocabulary": model.body.vocabulary,
        "first_token_ids": first,
        "last_token_ids": last,
        "prefixes": model.preparation.prefixes,
        "least_dimensions": model.least_dimensions,
    }
    try:
        return Embedding.from_fields(fields)
    except ValueError as error:
        raise UnsupportedError(f"the model cannot be used: {error}", hint="get the publisher's files again") from error


def _special_tokens(tokenizer: Tokenizer, *, begins: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens before and after every text; `begins`: there must be one before it."""
    try:
        encoded, plain = tokenizer.encode(_PROBE), tokenizer.encode(_PROBE, add_special_tokens=False).ids
    except Exception as error:  # the library raises bare Exception, for example if it has no token for unknown letters
        raise IntegrityError(f"{TOKENIZER} cannot encode a text: {error}", hint="get the files again") from error
    own = [at for at, is_special in enumerate(encoded.special_tokens_mask) if not is_special]
    begin, end = (own[0], own[-1] + 1) if own else (0, 0)
    first, last = tuple(encoded.ids[:begin]), tuple(encoded.ids[end:])
    if (begins and not first) or not last or encoded.ids[begin:end] != plain or any(encoded.type_ids):
        raise UnsupportedError(
            f"{TOKENIZER} makes the tokens {encoded.ids} with the types {encoded.type_ids} of the text {plain}; the "
            f"model needs special tokens {'before and ' if begins else ''}after it, and the type 0",
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
