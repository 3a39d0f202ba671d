"""Reads the description of a reranker, and checks it against the tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UnsupportedError
from appliance.number import shown
from export.architecture.cross_encoder import describe_cross_encoder
from export.architecture.encoder import Encoder, Head
from export.checkpoint import Checkpoint
from export.pooling.files import PROMPTS, read_prompts, read_transformer, require
from export.pooling.limits import most_tokens

# Integers that count positions.
_UNUSED = "embeddings.position_ids"
_TRANSFORMER_KEYS = frozenset(
    {"do_lower_case", "max_seq_length", "modality_config", "module_output_name", "transformer_task"}
)
_LOGITS = {"text": {"method": "forward", "method_output_name": "logits"}}
_PROMPT_KEYS = frozenset({"__version__", "activation_fn", "default_prompt_name", "model_type", "prompts"})


@dataclass(frozen=True)
class RerankingModel:
    """What a reranker computes.

    Attributes:
        encoder: from token ids to token states.
        head: from the first token's state to the logit.
        max_tokens: the longest pair, in tokens with the special ones.
        lowercase: whether all letters become lower-case before the tokenizer reads the text.
    """

    encoder: Encoder
    head: Head
    max_tokens: int
    lowercase: bool

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> RerankingModel:
        """Read the description.

        Raises:
            UnsupportedError: the architecture, a tensor or a setting is not supported.
            IntegrityError: a file is damaged.
        """
        encoder, head = describe_cross_encoder(checkpoint.config)
        name, stated = read_transformer(checkpoint.files, _TRANSFORMER_KEYS)
        require(stated, name, "transformer_task", "sequence-classification")
        require(stated, name, "module_output_name", "scores")
        require(stated, name, "modality_config", _LOGITS)
        require(stated, name, "do_lower_case", True, False)
        _check_prompts(checkpoint.files)
        limit = most_tokens(checkpoint.files, encoder.most_tokens, name, stated.get("max_seq_length"))
        model = cls(encoder, head, limit, bool(stated.get("do_lower_case")))
        model._check(checkpoint)
        return model

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor that the logit needs."""
        yield from self.encoder.tensors()
        yield from self.head.tensors(self.encoder.hidden)

    def _check(self, checkpoint: Checkpoint) -> None:
        """Check that the checkpoint has these tensors and no others."""
        expected = dict(self.tensors())
        for name in checkpoint.names():
            if name not in expected and name != f"{self.encoder.prefix}{_UNUSED}":
                raise UnsupportedError(
                    f"the checkpoint has the tensor {shown(name)}, which {self.encoder.name} rerankers do not have",
                    hint="use the files of a cross-encoder of sentence-transformers",
                )
        row = f"{self.head.output}.weight"
        for name, shape in expected.items():
            found = checkpoint.shape(name)
            if name == row and len(found) == len(shape) and found[0] > 1:
                raise UnsupportedError(
                    f"the model has {found[0]} labels; a reranker has one",
                    hint="models that classify texts are not supported",
                )
            if found != shape:
                raise UnsupportedError(
                    f"the tensor {name} has the shape {found}, but the configuration requires {shape}",
                    hint="the configuration belongs to another model, or was changed; pull the model again",
                )


def _check_prompts(files: Mapping[str, Path]) -> None:
    stated = read_prompts(files, _PROMPT_KEYS)
    require(stated, PROMPTS, "model_type", "CrossEncoder")
    prompts = stated.get("prompts")
    if prompts and (not isinstance(prompts, dict) or any(prompts.values())):
        raise UnsupportedError(
            f"prompts of {PROMPTS} is {shown(prompts)}, but the box puts no text before the pairs of a reranker",
            hint="set the prompts to null if the model needs none, and pull the model again",
        )
