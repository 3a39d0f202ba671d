"""A reranker's tokenizer, tested as serving will use it, and the settings of its task."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from appliance.artefact.manifest import TOKENIZER, Reranking
from appliance.errors import IntegrityError, UnsupportedError
from export.checkpoint import Checkpoint
from export.pooling.words import Words, prepared_tokenizer
from export.reranking.reading import RerankingModel

# Two texts of a few tokens, one with a letter that most tokenizers do not know.
_QUERY, _DOCUMENT = "one two", "two \U00010380 one"


def words_of(checkpoint: Checkpoint, model: RerankingModel) -> Words[Reranking]:
    """Read the tokenizer and the settings, and test them.

    1. The tokenizer loads, and has at most as many tokens as the table has rows.
    2. It puts the same special tokens around the texts of every pair, and the types of the tokens are those of the
       graph.
    3. Each text of a pair has at least one token of its own.

    Raises:
        IntegrityError: a file is damaged, or a value in it is wrong.
        UnsupportedError: they contain an unsupported feature.
    """
    content, tokenizer = prepared_tokenizer(checkpoint, model.encoder.vocabulary, lowercase=model.lowercase)
    around = _SpecialTokens.of(tokenizer, has_types=model.encoder.token_types > 1)
    fields = {
        "max_tokens": model.max_tokens,
        "vocabulary": model.encoder.vocabulary,
        "first_token_ids": around.first,
        "middle_token_ids": around.middle,
        "last_token_ids": around.last,
    }
    try:
        return Words(content, Reranking.from_fields(fields))
    except ValueError as error:
        raise UnsupportedError(f"the model cannot be used: {error}", hint="get the publisher's files again") from error


@dataclass(frozen=True)
class _SpecialTokens:
    """The tokens before, between and after the texts of a pair."""

    first: tuple[int, ...]
    middle: tuple[int, ...]
    last: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, has_types: bool) -> _SpecialTokens:
        try:
            encoded = tokenizer.encode(_QUERY, _DOCUMENT)
            query, document = (tokenizer.encode(text, add_special_tokens=False).ids for text in (_QUERY, _DOCUMENT))
        except Exception as error:  # the library raises bare Exception
            raise IntegrityError(f"{TOKENIZER} cannot encode a pair: {error}", hint="get the files again") from error
        ids = encoded.ids
        own = [at for at, is_special in enumerate(encoded.special_tokens_mask) if not is_special]
        if len(own) == len(query) + len(document):
            begin, start = own[0], own[len(query)]
            middle, end = begin + len(query), start + len(document)
            types = [int(at >= start) for at in range(len(ids))]
            around = cls(tuple(ids[:begin]), tuple(ids[middle:start]), tuple(ids[end:]))
            is_usual = ids == [*around.first, *query, *around.middle, *document, *around.last]
            if (
                is_usual
                and around.first
                and around.middle
                and around.last
                and (encoded.type_ids == types or not has_types)
            ):
                return around
        raise UnsupportedError(
            f"{TOKENIZER} makes the tokens {ids} with the types {encoded.type_ids} of the texts {query} and "
            f"{document}; a reranker needs special tokens before, between and after them, and the type 1 for the "
            "second text if the model has it",
            hint=f"get the publisher's {TOKENIZER}, whose post_processor adds these tokens",
        )
