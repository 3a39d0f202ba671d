"""One model that the gateway offers: its manifest, tokenizer and chat template, read once and checked by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import tokenizers

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import CHAT_TEMPLATE, TOKENIZER, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.chat_template.renderer import Renderer
from appliance.errors import IntegrityError, PromptTooLongError, RequestError, UnknownModelError, UsageError
from appliance.gateway.chat.control_texts import ControlTexts
from appliance.gateway.chat.dialect import Dialect
from appliance.gateway.chat.encoder import Encoder
from appliance.heap import give_back_free_memory
from appliance.token_bytes import TokenBytes

_Ids = TypeVar("_Ids", bound=Sequence[int])


# Written out, it would be the whole vocabulary.
@dataclass(frozen=True, repr=False)
class ServedModel:
    """What turns a client's words into a prompt for this model.

    Attributes:
        manifest: the artefact's table of contents.
        tokenizer: the library's tokenizer, for its vocabulary.
        token_bytes: what each token stands for.
        encoder: turns texts into tokens and back with it.
        template: None for a base model.
        controls: the texts that content must not have as they are.
        fingerprint: changes whenever any byte of the artefact does.
        dialect: how it writes tool calls and thoughts.
        marks: the tokens that it puts around them, by their texts.
    """

    manifest: Manifest
    tokenizer: tokenizers.Tokenizer
    token_bytes: TokenBytes
    encoder: Encoder
    template: Renderer | None
    controls: ControlTexts
    fingerprint: str
    dialect: Dialect = field(default_factory=Dialect)
    marks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> ServedModel:
        """Read an artefact's folder; the graph and the weights are not touched.

        Raises:
            UnknownModelError: the folder holds no artefact.
            IntegrityError: a file is missing or damaged.
            UnsupportedError: the manifest's schema, its form of tool calls, the chat template or the tokenizer's
                decoder is not known.
        """
        manifest = read_manifest(folder)
        dialect = Dialect.from_manifest(manifest.conversation)
        tokenizer = load_tokenizer(_read_checked(folder, manifest, TOKENIZER))
        template, written = None, ""
        if any(entry.name == CHAT_TEMPLATE for entry in manifest.files):
            written = _text(_read_checked(folder, manifest, CHAT_TEMPLATE))
            tokens = manifest.generation
            template = Renderer(written, bos_token=tokens.bos_token, eos_token=tokens.eos_token)
        give_back_free_memory()
        digest = hashlib.sha256(manifest.to_bytes()).hexdigest()
        return cls(
            manifest,
            tokenizer,
            TokenBytes(tokenizer),
            Encoder(tokenizer),
            template,
            ControlTexts(tokenizer, written),
            f"fp_{digest[:12]}",
            dialect,
            dialect.marks(tokenizer),
        )

    @property
    def name(self) -> str:
        """The model's name for clients and in Triton."""
        return self.manifest.model

    @property
    def chat_template(self) -> Renderer:
        """The model's template.

        Raises:
            RequestError: it is a base model.
        """
        if self.template is None:
            raise RequestError(
                f"{self.name} is a base model without a chat template", hint="use /v1/completions", param="model"
            )
        return self.template

    def check_characters(self, text: str, param: str) -> None:
        """Pass if the text may fit the context.

        Raises:
            PromptTooLongError: it has more characters than are looked at; `param` names it.
        """
        if len(text) > self.manifest.shape.max_characters:
            raise PromptTooLongError(
                f"{param} has {len(text)} characters; for a context of {self.manifest.shape.context_tokens} tokens,"
                f" the limit is {self.manifest.shape.max_characters}",
                param=param,
            )

    async def tokenize_rendered(self, text: str, sign: str, param: str) -> list[int]:
        """Return the tokens of what the chat template rendered; `sign` stands inside of what is no control token.

        Raises:
            PromptTooLongError: see `check_characters`.
        """
        self.check_characters(text, param)
        # The template writes the model's special tokens itself.
        return await self.encoder.encode_signed(text, sign)

    async def encode_text(self, text: str) -> list[int]:
        """Return the token ids of a plain prompt, with the model's own prefix if it has one.

        Control texts in it become control tokens: whoever writes a plain prompt writes the template.

        Raises:
            RequestError: the prompt is empty.
            PromptTooLongError: see `check_length` and `check_characters`.
        """
        return self.check_length(await self.tokenize_text(text), "prompt")

    async def tokenize_text(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of a plain prompt, with the model's own prefix if it has one and is wanted.

        Raises:
            PromptTooLongError: see `check_characters`.
        """
        self.check_characters(text, "prompt")
        return await self.encoder.encode(text, add_special_tokens=add_special_tokens) if text else []

    async def detokenize(self, ids: Sequence[int], param: str) -> str:
        """Return the text of tokens, special ones written out.

        Raises:
            RequestError: an id is not of this model, or there are too many; `param` names the ids.
        """
        if len(ids) > self.manifest.shape.max_characters:
            raise RequestError(
                f"{param} has {len(ids)} ids; the limit is {self.manifest.shape.max_characters}", param=param
            )
        self.check_known(ids, param)
        return await self.encoder.decode(ids)

    async def encode_content(self, text: str, param: str) -> list[int]:
        """Return the tokens of a text that is only a part of a prompt: without a prefix or control tokens.

        Raises:
            PromptTooLongError: see `check_characters`; `param` names the text.
        """
        self.check_characters(text, param)
        return await self.encoder.encode_content(text)

    def check_ids(self, ids: Sequence[int]) -> Sequence[int]:
        """Return a prompt that the client tokenised itself.

        Raises:
            RequestError: it is empty or has an id that the model does not know.
            PromptTooLongError: see `check_length`.
        """
        # The length first: there may be millions.
        self.check_length(ids, "prompt")
        self.check_known(ids, "prompt")
        return ids

    def check_known(self, ids: Sequence[int], param: str) -> None:
        """Pass if the model knows every id.

        Raises:
            RequestError: it does not; `param` names the ids.
        """
        tokens = self.manifest.shape.tokens
        for token in (min(ids), max(ids)) if ids else ():
            if not 0 <= token < tokens:
                raise RequestError(f"{param} has the token id {token}; this model has 0 to {tokens - 1}", param=param)

    def check_length(self, ids: _Ids, param: str) -> _Ids:
        """Return the prompt if it is neither empty nor longer than the model's context.

        Raises:
            RequestError: empty.
            PromptTooLongError: no room is left for even one completion token.
        """
        limit = self.manifest.shape.context_tokens
        if not ids:
            raise RequestError(f"{param} is empty", param=param)
        if len(ids) >= limit:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens; prompt plus completion can have at most {limit}", param=param
            )
        return ids


class ServedModels:
    """The models on offer, by name."""

    def __init__(self, models: Iterable[ServedModel]) -> None:
        """Take the set.

        Raises:
            UsageError: two of them have the same name.
        """
        self._models: dict[str, ServedModel] = {}
        for model in models:
            if model.name in self._models:
                raise UsageError(f"two models are called {model.name}", hint="serve one of them")
            self._models[model.name] = model

    @classmethod
    def load(cls, folders: Sequence[Path]) -> ServedModels:
        """Read every artefact; see `ServedModel.load` for what is raised."""
        return cls(ServedModel.load(folder) for folder in folders)

    def close(self) -> None:
        """End the processes of the chat templates."""
        for model in self.all:
            if model.template is not None:
                model.template.close()

    @property
    def all(self) -> list[ServedModel]:
        """Every model, in the order of the artefacts."""
        return list(self._models.values())

    def label(self, name: str) -> dict[str, str]:
        """Return the log's field for a name: none if it is not on offer, because clients can write anything there."""
        return {"model": name} if name in self._models else {}

    def get(self, name: str) -> ServedModel:
        """Return the model of this name.

        Raises:
            UnknownModelError: it is not on offer.
        """
        try:
            return self._models[name]
        except KeyError:
            raise UnknownModelError(
                f"this box does not serve the model {name!r}", hint=f"served models: {', '.join(self._models)}"
            ) from None


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{CHAT_TEMPLATE} is not UTF-8: {error}", hint="export the model again") from error


def _read_checked(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Return the file's bytes, the same that were digested."""
    entry = manifest.file(name)
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise IntegrityError(f"{folder / name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise IntegrityError(f"{folder / name} does not have the digest of the manifest", hint="export the model again")
    return content
