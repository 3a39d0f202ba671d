"""The bytes of each token of a tokenizer. Tokenizers with unknown byte rules are not supported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import tokenizers

from appliance.errors import UnsupportedError

_SPACE_PIECE = "\u2581"
# Llama 2's and Mistral's decoders remove the space that their tokenizers put before a text. It is kept here: an answer
# continues a text, and its first space is the model's.
_STRIP: Mapping[str, Any] = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
_BYTE_PIECE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class TokenBytes:
    """The bytes of each token of a Hugging Face tokenizer.

    A token's bytes never depend on the tokens beside it, and only UTF-8 decides where a character ends.

    Attributes:
        specials: names of the tokens without text.
    """

    def __init__(
        self, piece: Callable[[int], str | None], added: Mapping[int, tuple[str, bool]], decoder: Mapping[str, Any]
    ) -> None:
        """Take what a tokenizer consists of.

        Args:
            piece: returns a token's text as the model writes it, or None for an unused id.
            added: text of each added token, and whether it is special, by id.
            decoder: the decoder, as in tokenizer.json.

        Raises:
            UnsupportedError: the decoder is neither byte-level BPE nor SentencePiece with byte fallback.
        """
        self._piece = piece
        self._byte_level = _is_byte_level(decoder)
        self.specials: Mapping[int, str] = {token: text for token, (text, special) in added.items() if special}
        self._bytes = {token: b"" if special else text.encode() for token, (text, special) in added.items()}

    @classmethod
    def of_library(cls, backend: tokenizers.Tokenizer) -> TokenBytes:
        """The bytes of a loaded tokenizer's tokens; see the constructor for errors."""
        added = {token: (each.content, each.special) for token, each in backend.get_added_tokens_decoder().items()}
        return cls(backend.id_to_token, added, json.loads(backend.decoder.__getstate__()) if backend.decoder else {})

    @classmethod
    def of_json(cls, content: bytes) -> TokenBytes | None:
        """The bytes of the tokens in a tokenizer.json. To load the tokenizer takes longer and more memory.

        Returns None if only the library can tell the ids: it gives ids to added tokens itself.

        Raises:
            ValueError: the content is not JSON.
            UnsupportedError: see the constructor.
        """
        document = json.loads(content)
        try:
            vocabulary: dict[str, int] = document["model"]["vocab"]
            added = {each["id"]: (each["content"], each["special"]) for each in document["added_tokens"]}
            if document["model"]["type"] != "BPE" or not vocabulary or not _are_ids_as_written(vocabulary, added):
                return None
            pieces = {token: text for text, token in vocabulary.items()}
            return cls(pieces.get, added, document["decoder"] or {})
        except (KeyError, TypeError, AttributeError):
            return None

    def of(self, token: int) -> bytes:
        """Return the UTF-8 bytes of `token`; empty for special tokens and unused ids."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._read(token)
        return known

    def name(self, token: int) -> bytes:
        """Return the bytes of `token`, or the name of a special token."""
        special = self.specials.get(token)
        return self.of(token) if special is None else special.encode()

    def first(self, tokens: int) -> list[bytes]:
        """Return the result of `of` for the first `tokens` ids, without caching it."""
        return [self._read(token) if (known := self._bytes.get(token)) is None else known for token in range(tokens)]

    def _read(self, token: int) -> bytes:
        piece = self._piece(token)
        return b"" if piece is None else self._piece_bytes(piece)

    def _piece_bytes(self, piece: str) -> bytes:
        if self._byte_level:
            known = [_BYTE_OF_CHARACTER.get(character) for character in piece]
            return piece.encode() if None in known else bytes(byte for byte in known if byte is not None)
        if _BYTE_PIECE.fullmatch(piece):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(_SPACE_PIECE, " ").encode()


def _are_ids_as_written(vocabulary: Mapping[str, int], added: Mapping[int, tuple[str, bool]]) -> bool:
    """Whether the library gives the added tokens their written ids: the model's id, or else the next free number."""
    texts: set[str] = set()
    following = len(vocabulary)
    for token, (text, _) in added.items():
        # The library ignores a token without text, and one whose text an added token has already.
        if not text or text in texts or token != vocabulary.get(text, following):
            return False
        texts.add(text)
        following = max(following, token + 1)
    return True


def _is_byte_level(decoder: Mapping[str, Any]) -> bool:
    """Return True for byte-level BPE, False for SentencePiece with byte fallback; raises UnsupportedError otherwise."""
    parts = decoder.get("decoders", [decoder])
    kinds = {part.get("type") for part in parts if part != _STRIP}
    if kinds == {"ByteLevel"}:
        return True
    if "ByteFallback" in kinds and kinds <= {"ByteFallback", "Fuse", "Replace"}:
        return False
    raise UnsupportedError(f"the tokenizer's decoder {decoder.get('type')!r} is not supported")


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes map to themselves, the other 68 to characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_level_alphabet()
