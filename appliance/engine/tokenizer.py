"""Text to token ids and back, from the artefact's tokenizer.json. It refuses tokenizers whose bytes it cannot name."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path

import tokenizers

from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, RequestError
from appliance.token_bytes import TokenBytes


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
        self._bytes = TokenBytes(backend)

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
        return self._bytes.specials

    def vocabulary(self, tokens: int) -> list[bytes]:
        """Return what `token_bytes` says of the first `tokens` ids, without keeping it."""
        return self._bytes.first(tokens)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of `text`; the model's own prefix (such as `<bos>`) comes first if it has one.

        Raises:
            RequestError: the text holds half a surrogate pair, which no UTF-8 can.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestError(f"the text is not valid Unicode at character {error.start}", param="prompt") from error
        # Its `encode` keeps the interpreter's lock, and every slot would wait; the calls for batches give it back.
        ids: list[int] = self._backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; special tokens have none, bytes that are no character become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes that `token` stands for; none for special tokens and unused ids."""
        return self._bytes.of(token)


class Detokeniser:
    """Turns tokens into text one by one and never emits half a character."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Return the characters that `token` completes."""
        return self._utf8.decode(self._tokenizer.token_bytes(token))
