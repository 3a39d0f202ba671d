"""One served reranker: turns a client's query and document into the tokens of one pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import TOKENIZER, Manifest, Reranking
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import PromptTooLongError, RequestError
from appliance.gateway.chat.encoder import Encoder
from appliance.gateway.chat.served_model import read_checked
from appliance.heap import give_back_free_memory


@dataclass(frozen=True)
class Pair:
    """Two texts as the model reads them.

    Attributes:
        ids: the tokens of both, with the special tokens.
        first_length: the number of tokens before the second text.
    """

    ids: list[int]
    first_length: int


@dataclass(frozen=True, repr=False)
class RerankingModel:
    """See the module.

    Attributes:
        manifest: the artefact's table of contents.
        task: the settings of the reranker.
        encoder: encodes text with the tokenizer.
        sha256: digest of the manifest, which has the digests of all other files.
    """

    manifest: Manifest
    task: Reranking
    encoder: Encoder
    sha256: str

    @classmethod
    def load(cls, folder: Path) -> RerankingModel:
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
        return cls(manifest, manifest.reranking, Encoder(tokenizer), digest)

    @property
    def name(self) -> str:
        """The model's name for clients and in Triton."""
        return self.manifest.model

    async def tokens(self, text: str, param: str) -> list[int]:
        """Return the tokens of one text, without special tokens. Nothing in the text becomes a special token.

        Raises:
            RequestError: the text is empty; `param` is the client's name of it.
        """
        if not text:
            raise RequestError(f"{param} is empty", param=param)
        return await self.encoder.encode_content(text)

    def pair(self, first: list[int], second: list[int], param: str, cut: int | None = None) -> Pair:
        """Join the tokens of two texts with the special tokens.

        Args:
            first: the query.
            second: the document, which is cut at its end.
            param: the client's name of the document.
            cut: the number of tokens of the pair to keep, with the special tokens; -1: as many as fit; None: all.

        Raises:
            PromptTooLongError: the pair is longer than the model's longest, or the query leaves no room for a document.
        """
        task, most = self.task, self.task.max_tokens
        if cut is not None:
            room = (most if cut == -1 else min(cut, most)) - task.special_tokens - len(first)
            second = second[: max(1, room)]
        total = task.special_tokens + len(first) + len(second)
        if total > most:
            raise PromptTooLongError(
                f"the query and {param} have {total} tokens together; this model's maximum context length is {most}"
                " tokens",
                hint="split the text, or set truncate_prompt_tokens to -1",
                param=param,
            )
        begin = [*task.first_token_ids, *first, *task.middle_token_ids]
        return Pair([*begin, *second, *task.last_token_ids], len(begin))
