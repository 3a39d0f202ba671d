"""Converts text to token ids and back, with the artefact's tokenizer.json. Each token must stand for known bytes."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import tokenizers

from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, RequestError
from appliance.token_bytes import TokenBytes


class Tokenizer:
    """A Hugging Face tokenizer in which every token stands for known bytes.

    With known bytes (instead of the library's text), incremental decoding is exact and cheap: a token's bytes never
    depend on other tokens, and UTF-8 alone determines where a character ends.
    """

    def __init__(
        self, backend: tokenizers.Tokenizer | Callable[[], tokenizers.Tokenizer], token_bytes: TokenBytes | None = None
    ) -> None:
        """Wrap a tokenizer of the library.

        Args:
            backend: the tokenizer, or what loads it when text is encoded for the first time.
            token_bytes: the bytes of its tokens; None takes them from the loaded `backend`.

        Raises:
            UnsupportedError: the decoder is neither byte-level BPE nor SentencePiece with byte fallback.
        """
        self._backend = backend
        self._loading = threading.Lock()
        self._bytes = token_bytes or TokenBytes.of_library(self._library)

    @classmethod
    def load(cls, file: Path) -> Tokenizer:
        """Read tokenizer.json. If possible, the library loads it only when text is encoded.

        Raises:
            IntegrityError: the file is missing or damaged.
            UnsupportedError: see the constructor.
        """
        try:
            content = file.read_bytes()
            token_bytes = TokenBytes.of_json(content)
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{file.name} cannot be read: {error}", hint="export the model again") from error
        if token_bytes is None:
            return cls(load_tokenizer(content))
        return cls(lambda: load_tokenizer(content), token_bytes)

    @property
    def special_tokens(self) -> Mapping[int, str]:
        """Names of the tokens that stand for no text."""
        return self._bytes.specials

    def vocabulary(self, tokens: int) -> list[bytes]:
        """Return `token_bytes` of the first `tokens` ids, without caching."""
        return self._bytes.first(tokens)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of `text`, after the model's own prefix (such as `<bos>`) if it has one.

        Raises:
            RequestError: the text contains half a surrogate pair, which UTF-8 cannot encode.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestError(f"the text is not valid Unicode at character {error.start}", param="prompt") from error
        # The library's `encode` holds the interpreter's lock, which would stop all slots; its batch calls release it.
        ids: list[int] = self._library.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`. Special tokens have no text; bytes that are not valid UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes of `token`; empty for special tokens and unused ids."""
        return self._bytes.of(token)

    @property
    def _library(self) -> tokenizers.Tokenizer:
        with self._loading:
            if not isinstance(self._backend, tokenizers.Tokenizer):
                self._backend = self._backend()
            return self._backend


class Detokeniser:
    """Converts tokens to text one by one and never returns part of a character."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Return the characters that `token` completes."""
        return self._utf8.decode(self._tokenizer.token_bytes(token))
