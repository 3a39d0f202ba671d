"""One served embedding model: turns a client's text into its tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import TOKENIZER, Embedding, Manifest
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import PromptTooLongError, RequestError
from appliance.gateway.chat.encoder import Encoder
from appliance.gateway.chat.served_model import read_checked
from appliance.heap import give_back_free_memory


@dataclass(frozen=True, repr=False)
class EmbeddingModel:
    """See the module.

    Attributes:
        manifest: the artefact's table of contents.
        task: the settings of the embedding.
        encoder: encodes text with the tokenizer.
        sha256: digest of the manifest, which has the digests of all other files.
    """

    manifest: Manifest
    task: Embedding
    encoder: Encoder
    sha256: str

    @classmethod
    def load(cls, folder: Path) -> EmbeddingModel:
        """Read an artefact's folder; the graph and the weights are not read.

        Raises:
            UnknownModelError: the folder contains no artefact.
            IntegrityError: a file is missing or damaged.
            UnsupportedError: the model has another task.
        """
        manifest = read_manifest(folder)
        tokenizer = load_tokenizer(read_checked(folder, manifest, TOKENIZER))
        give_back_free_memory()
        digest = hashlib.sha256(manifest.to_bytes()).hexdigest()
        return cls(manifest, manifest.embedding, Encoder(tokenizer), digest)

    @property
    def name(self) -> str:
        """The model's name for clients and in Triton."""
        return self.manifest.model

    async def tokens(
        self, given: str | Sequence[int], param: str, *, purpose: str = "", cut: int | None = None
    ) -> list[int]:
        """Return the tokens of a text with the special tokens. Nothing in the text becomes a special token.

        Args:
            given: the text, or its tokens without special tokens.
            param: the client's name of the text.
            purpose: see `Embedding.prefixes`; a text that is given as tokens gets no prefix.
            cut: the number of tokens to keep, with the special tokens; -1: as many as fit; None: cut nothing.

        Raises:
            RequestError: the text is empty, or has a token that the model does not have.
            PromptTooLongError: the text is longer than the model's longest.
        """
        if not given:
            raise RequestError(f"{param} is empty", param=param)
        if isinstance(given, str):
            own = await self.encoder.encode_content(self.task.prefixes.get(purpose, "") + given)
        else:
            own = list(given)
            if min(own) < 0 or max(own) >= self.task.vocabulary:
                raise RequestError(f"{param} has a token id outside of 0 to {self.task.vocabulary - 1}", param=param)
        most = self.task.max_tokens
        special = len(self.task.first_token_ids) + len(self.task.last_token_ids)
        if cut is not None:
            own = own[: max(1, (most if cut == -1 else min(cut, most)) - special)]
        if len(own) + special > most:
            raise PromptTooLongError(
                f"{param} has {len(own) + special} tokens; this model's maximum context length is {most} tokens",
                hint="split the text, or set truncate_prompt_tokens to -1",
                param=param,
            )
        return [*self.task.first_token_ids, *own, *self.task.last_token_ids]
