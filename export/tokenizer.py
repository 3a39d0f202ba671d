"""A checkpoint's tokenizer as a Hugging Face tokenizer.json: the published one, or one built from GGUF metadata.

A GGUF tokenizer whose rules are neither in the file nor known here is not supported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from appliance.artefact.manifest import TOKENIZER
from appliance.errors import IntegrityError, UnsupportedError
from appliance.number import whole
from export.checkpoint import Checkpoint
from export.splitting import SPLITTINGS

# The GGUF token types that matter. Others are left out, for example the padding (5) at the end of the embedding.
_WORD = 1
_CONTROL = 3
_USER_DEFINED = 4
_LISTS: Mapping[str, type] = {"tokens": str, "token_type": int, "merges": str}


def tokenizer_json(checkpoint: Checkpoint) -> bytes:
    """Return the content of tokenizer.json. Equal checkpoints give equal bytes.

    Raises:
        UnsupportedError: the checkpoint has no tokenizer, or one of an unknown kind.
        IntegrityError: a GGUF file's tokenizer is damaged.
    """
    if checkpoint.metadata:
        content = _from_gguf(checkpoint.metadata).to_str().encode()
    elif TOKENIZER in checkpoint.files:
        content = checkpoint.files[TOKENIZER].read_bytes()
    else:
        raise UnsupportedError(
            f"the model has no {TOKENIZER}",
            hint="transformers writes this file: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )
    return content


def first_token(metadata: Mapping[str, Any]) -> str:
    """The text of the token that begins a text, by a GGUF file's metadata; empty if it has none.

    Raises:
        IntegrityError: the file names a token that it does not have.
    """
    stated = metadata.get("tokenizer.ggml.bos_token_id")
    if stated is None:
        return ""
    texts = _list(metadata, "tokens", str)
    try:
        return str(texts[whole(stated, least=0, most=len(texts) - 1)])
    except ValueError as error:
        raise IntegrityError(f"the GGUF file's bos_token_id {error}", hint="get the files again") from error


def token_count(tokenizer: Tokenizer) -> int:
    """The highest token id plus one: logits from this index on have no token."""
    return 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())


def _from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    kind = metadata.get("tokenizer.ggml.model")
    splitting = SPLITTINGS.get(str(metadata.get("tokenizer.ggml.pre")))
    if kind != "gpt2" or splitting is None:
        raise UnsupportedError(
            f"the tokenizer {kind!r} with the rules {metadata.get('tokenizer.ggml.pre')!r} is not supported",
            hint=f"supported: 'gpt2' with {', '.join(map(repr, sorted(SPLITTINGS)))}",
        )
    texts, types, merges = (_list(metadata, name, kind) for name, kind in _LISTS.items())
    for flag in ("add_eos_token", "add_space_prefix"):
        if metadata.get(f"tokenizer.ggml.{flag}", False):
            raise UnsupportedError(f"the tokenizer requires {flag}, which this version does not support for its type")
    if not texts or len(types) != len(texts):
        raise IntegrityError(
            "the GGUF file's lists of tokens and token types do not match",
            hint="get the files again",
        )
    words = {text: index for index, (text, kind) in enumerate(zip(texts, types, strict=True)) if kind == _WORD}
    special = _added(texts, types)
    words |= {token.content: index for index, token in special}
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    try:
        tokenizer = Tokenizer(models.BPE(vocab=words, merges=pairs, ignore_merges=splitting.takes_whole_words))
    except Exception as error:  # the library raises bare Exception if a merge has unknown tokens
        raise IntegrityError(f"the GGUF file's tokenizer is damaged: {error}", hint="get the files again") from error
    if splitting.is_composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = splitting.pre_tokenizer()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([token for _, token in special])
    if metadata.get("tokenizer.ggml.add_bos_token", splitting.begins):
        _add_first_token(tokenizer, first_token(metadata))
    return tokenizer


def _add_first_token(tokenizer: Tokenizer, first: str) -> None:
    """Begin every text with this token, if special tokens are asked for."""
    number = tokenizer.token_to_id(first)
    if number is None:
        raise IntegrityError("the GGUF file requires a first token, but does not name one", hint="get the files again")
    begun = processors.TemplateProcessing(
        single=[first, "$A"], pair=[first, "$A", first, "$B:1"], special_tokens=[(first, number)]
    )
    tokenizer.post_processor = processors.Sequence([tokenizer.post_processor, begun])


def _list(metadata: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    values = metadata.get(f"tokenizer.ggml.{name}") or []
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise IntegrityError(f"the GGUF file's list of {name} is damaged", hint="get the files again")
    return values


def _added(texts: Sequence[str], types: Sequence[int]) -> list[tuple[int, AddedToken]]:
    """Tokens that are split off a text before all others. Control tokens have no text of their own."""
    return [
        (index, AddedToken(text, special=kind == _CONTROL, normalized=False))
        for index, (text, kind) in enumerate(zip(texts, types, strict=True))
        if kind in {_CONTROL, _USER_DEFINED}
    ]
