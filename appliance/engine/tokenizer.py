"""Text to token ids and back, from the artefact's tokenizer.json. It refuses tokenizers whose bytes it cannot name."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tokenizers

from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, RequestError, UnsupportedError

_SPACE_PIECE = "\u2581"
_BYTE_PIECE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class Tokenizer:
    """A Hugging Face tokenizer whose every token stands for known bytes.

    Knowing the bytes (instead of asking the library for text) makes incremental decoding exact and cheap: a token's
    bytes never depend on its neighbours, and only UTF-8 decides where a character ends.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        """Take over a loaded tokenizer.

        Raises:
            UnsupportedError: its decoder is neither byte-level BPE nor SentencePiece with byte fallback.
        """
        self._backend = backend
        self._byte_level = _is_byte_level(backend)
        self._bytes: dict[int, bytes] = {}
        self._specials: dict[int, str] = {}
        for token, added in backend.get_added_tokens_decoder().items():
            self._bytes[token] = b"" if added.special else added.content.encode()
            if added.special:
                self._specials[token] = added.content

    @classmethod
    def load(cls, file: Path) -> Tokenizer:
        """Read tokenizer.json.

        Raises:
            IntegrityError: the file is absent or damaged.
            UnsupportedError: see the constructor.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise IntegrityError(f"{file.name} cannot be read: {error}", hint="export the model again") from error
        return cls(load_tokenizer(content))

    @property
    def size(self) -> int:
        """Number of tokens, added ones included."""
        return int(self._backend.get_vocab_size())

    @property
    def special_tokens(self) -> Mapping[int, str]:
        """Names of the tokens that stand for no text."""
        return self._specials

    def vocabulary(self, tokens: int) -> list[bytes]:
        """Return what `token_bytes` says of the first `tokens` ids, without keeping it."""
        return [self._read(token) if (known := self._bytes.get(token)) is None else known for token in range(tokens)]

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of `text`; the model's own prefix (such as `<bos>`) comes first if it has one.

        Raises:
            RequestError: the text holds half a surrogate pair, which no UTF-8 can.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestError(f"the text is not valid Unicode at character {error.start}", param="prompt") from error
        ids: list[int] = self._backend.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; special tokens have none, bytes that are no character become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes that `token` stands for; none for special tokens and unused ids."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._read(token)
        return known

    def _read(self, token: int) -> bytes:
        piece = self._backend.id_to_token(token)
        return b"" if piece is None else self._piece_bytes(piece)

    def _piece_bytes(self, piece: str) -> bytes:
        if self._byte_level:
            known = [_BYTE_OF_CHARACTER.get(character) for character in piece]
            return piece.encode() if None in known else bytes(byte for byte in known if byte is not None)
        if _BYTE_PIECE.fullmatch(piece):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(_SPACE_PIECE, " ").encode()


class Detokeniser:
    """Turns tokens into text one by one and never emits half a character."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Return the characters that `token` completes."""
        return self._utf8.decode(self._tokenizer.token_bytes(token))


def _is_byte_level(backend: tokenizers.Tokenizer) -> bool:
    """Tell byte-level BPE (True) from SentencePiece pieces with byte fallback (False), or refuse."""
    decoder: dict[str, Any] = json.loads(backend.decoder.__getstate__()) if backend.decoder else {}
    parts = decoder.get("decoders", [decoder])
    kinds = {part.get("type") for part in parts}
    if kinds == {"ByteLevel"}:
        return True
    if "ByteFallback" in kinds and kinds <= {"ByteFallback", "Fuse", "Replace"}:
        return False
    raise UnsupportedError(f"the tokenizer's decoder {decoder.get('type')!r} is not known")


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the other 68 for characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_level_alphabet()
