"""One served model: its manifest, tokenizer and chat template, read once and checked by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import tokenizers

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import CHAT_TEMPLATE, TOKENIZER, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.chat_template.renderer import Renderer
from appliance.errors import IntegrityError, PromptTooLongError, RequestError
from appliance.gateway.chat.control_texts import ControlTexts
from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.encoder import Encoder
from appliance.heap import give_back_free_memory
from appliance.token_bytes import TokenBytes

_Ids = TypeVar("_Ids", bound=Sequence[int])


# No repr: it would contain the whole vocabulary.
@dataclass(frozen=True, repr=False)
class ServedModel:
    """Turns a client's text into a prompt for this model.

    Attributes:
        manifest: the artefact's table of contents.
        tokenizer: the library's tokenizer, for its vocabulary.
        token_bytes: the bytes of each token.
        encoder: encodes and decodes text with the tokenizer.
        template: None for a base model.
        controls: the control texts that content must not contain unmarked.
        sha256: digest of the manifest, which has the digests of all other files.
        dialect: how the model writes tool calls and thoughts.
        marks: the tokens of the marks around calls and thoughts, by their texts.
    """

    manifest: Manifest
    tokenizer: tokenizers.Tokenizer
    token_bytes: TokenBytes
    encoder: Encoder
    template: Renderer | None
    controls: ControlTexts
    sha256: str
    dialect: Dialect = field(default_factory=Dialect)
    marks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> ServedModel:
        """Read an artefact's folder; the graph and the weights are not read.

        Raises:
            UnknownModelError: the folder contains no artefact.
            IntegrityError: a file is missing or damaged.
            UnsupportedError: the manifest's schema, its format of tool calls, the chat template or the tokenizer's
                decoder is not supported.
        """
        manifest = read_manifest(folder)
        dialect = Dialect.from_manifest(manifest.conversation)
        tokenizer = load_tokenizer(read_checked(folder, manifest, TOKENIZER))
        template, written = None, ""
        if any(entry.name == CHAT_TEMPLATE for entry in manifest.files):
            written = _text(read_checked(folder, manifest, CHAT_TEMPLATE))
            tokens = manifest.generation
            template = Renderer(written, bos_token=tokens.bos_token, eos_token=tokens.eos_token)
        give_back_free_memory()
        digest = hashlib.sha256(manifest.to_bytes()).hexdigest()
        return cls(
            manifest,
            tokenizer,
            TokenBytes.of_library(tokenizer),
            Encoder(tokenizer),
            template,
            ControlTexts(tokenizer, written),
            digest,
            dialect,
            dialect.marks(tokenizer),
        )

    @property
    def name(self) -> str:
        """The model's name for clients and in Triton."""
        return self.manifest.model

    @property
    def fingerprint(self) -> str:
        """OpenAI's name of the model's state; changes whenever any byte of the artefact changes."""
        return f"fp_{self.sha256[:12]}"

    @property
    def eos_token(self) -> str:
        """The name of the end token."""
        generation = self.manifest.generation
        return generation.eos_token or self.token_bytes.name(min(generation.eos_token_ids)).decode("utf-8", "replace")

    @property
    def chat_template(self) -> Renderer:
        """The model's template.

        Raises:
            RequestError: the model is a base model.
        """
        if self.template is None:
            raise RequestError(
                f"{self.name} is a base model without a chat template", hint="use /v1/completions", param="model"
            )
        return self.template

    def check_characters(self, text: str, param: str) -> None:
        """Check that the text may fit the context.

        Raises:
            PromptTooLongError: the text has more characters than the limit; `param` names the text.
        """
        if len(text) > self.manifest.shape.max_characters:
            raise PromptTooLongError(
                f"prompt is too long: {param} has {len(text)} characters > {self.manifest.shape.max_characters}"
                f" maximum; this model's maximum context length is {self.manifest.shape.context_tokens} tokens",
                param=param,
            )

    async def tokenize_rendered(self, text: str, sign: str, param: str) -> list[int]:
        """Return the tokens of a rendered chat template; `sign` marks the texts that must not become control tokens.

        Raises:
            PromptTooLongError: see `check_characters`.
        """
        self.check_characters(text, param)
        # The template writes the model's special tokens itself.
        return await self.encoder.encode_signed(text, sign)

    async def encode_text(self, text: str) -> list[int]:
        """Return the token ids of a plain prompt, with the model's own prefix if it has one.

        Control texts in it become control tokens: the client of a plain prompt writes the template itself.

        Raises:
            RequestError: the prompt is empty.
            PromptTooLongError: see `check_length` and `check_characters`.
        """
        return self.check_length(await self.tokenize_text(text), "prompt")

    async def tokenize_text(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of a plain prompt; `add_special_tokens` adds the model's own prefix, if it has one.

        Raises:
            PromptTooLongError: see `check_characters`.
        """
        self.check_characters(text, "prompt")
        return await self.encoder.encode(text, add_special_tokens=add_special_tokens) if text else []

    async def detokenize(self, ids: Sequence[int], param: str) -> str:
        """Return the text of tokens; special tokens are included.

        Raises:
            RequestError: an id is unknown to this model, or there are too many ids; `param` names the ids.
        """
        if len(ids) > self.manifest.shape.max_characters:
            raise RequestError(
                f"{param} has {len(ids)} ids; the limit is {self.manifest.shape.max_characters}", param=param
            )
        self.check_known(ids, param)
        return await self.encoder.decode(ids)

    async def encode_content(self, text: str, param: str) -> list[int]:
        """Return the tokens of a text that is only a part of a prompt: without prefix and control tokens.

        Raises:
            PromptTooLongError: see `check_characters`; `param` names the text.
        """
        self.check_characters(text, param)
        return await self.encoder.encode_content(text)

    def check_ids(self, ids: Sequence[int]) -> Sequence[int]:
        """Return a prompt that the client tokenised itself.

        Raises:
            RequestError: the prompt is empty or has an id that is unknown to this model.
            PromptTooLongError: see `check_length`.
        """
        # The length is checked first, because there may be millions of ids.
        self.check_length(ids, "prompt")
        self.check_known(ids, "prompt")
        return ids

    def check_known(self, ids: Sequence[int], param: str) -> None:
        """Check that the model has every id.

        Raises:
            RequestError: an id is unknown; `param` names the ids.
        """
        tokens = self.manifest.shape.tokens
        for token in (min(ids), max(ids)) if ids else ():
            if not 0 <= token < tokens:
                raise RequestError(f"{param} has the token id {token}; this model has 0 to {tokens - 1}", param=param)

    def check_length(self, ids: _Ids, param: str) -> _Ids:
        """Return the prompt if it is neither empty nor longer than the model's context.

        Raises:
            RequestError: the prompt is empty.
            PromptTooLongError: the context has no space for even one completion token.
        """
        limit = self.manifest.shape.context_tokens
        if not ids:
            raise RequestError(f"{param} is empty", param=param)
        if len(ids) >= limit:
            # Clients recognise this error by the vendors' words: Claude Code then compacts, LiteLLM uses another model.
            raise PromptTooLongError(
                f"prompt is too long: {len(ids)} tokens > {limit} maximum; this model's maximum context length"
                f" is {limit} tokens for prompt plus completion",
                param=param,
            )
        return ids


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{CHAT_TEMPLATE} is not UTF-8: {error}", hint="export the model again") from error


def read_checked(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Return the file's bytes; these bytes were checked against the digest."""
    entry = manifest.file(name)
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise IntegrityError(f"{folder / name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise IntegrityError(f"{folder / name} does not have the digest of the manifest", hint="export the model again")
    return content
