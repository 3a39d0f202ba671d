"""Reads how a sentence-transformers model prepares a text: its limit, its letters, and the prefixes of its purposes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import DOCUMENT, QUERY
from appliance.errors import IntegrityError, UnsupportedError
from appliance.number import shown
from export.embedding.body import Body
from export.pooling.files import PROMPTS, read_prompts, read_transformer, require
from export.pooling.limits import most_tokens

# Arguments for the libraries that load the model.
_ARGUMENTS = ("config_args", "model_args", "tokenizer_args")
_TRANSFORMER_KEYS = frozenset(
    {*_ARGUMENTS, "do_lower_case", "max_seq_length", "modality_config", "module_output_name", "transformer_task"}
)
_STATES = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
# The similarity is for people: the client compares the vectors.
_PROMPT_KEYS = frozenset(
    {"__version__", "default_prompt_name", "model_type", "prompts", "similarity_fn_name", "truncate_dim"}
)
# The names of prompts that the library uses for each purpose; the first that exists counts.
_NAMES: Mapping[str, tuple[str, ...]] = {QUERY: ("query",), DOCUMENT: ("document", "passage", "corpus")}
_MEND = f"correct {PROMPTS} in the model's folder and pull the model again"


@dataclass(frozen=True)
class Preparation:
    """How a text becomes the tokens of the model.

    Attributes:
        max_tokens: the longest text, in tokens with the prefix and the special ones.
        lowercase: whether all letters become lower-case before the tokenizer reads the text.
        prefixes: see `appliance.artefact.embedding.Embedding`.
        notes: lines for people about prompts that the box does not use.
    """

    max_tokens: int
    lowercase: bool
    prefixes: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Mapping[str, Path], body: Body) -> Preparation:
        """Read it from the files beside the weights.

        Raises:
            UnsupportedError: a file has an unknown key, or a value that is not supported.
            IntegrityError: a file is damaged.
        """
        name, stated = read_transformer(files, _TRANSFORMER_KEYS)
        require(stated, name, "transformer_task", "feature-extraction")
        require(stated, name, "module_output_name", "token_embeddings")
        require(stated, name, "modality_config", _STATES)
        require(stated, name, "do_lower_case", True, False)
        for key in _ARGUMENTS:
            require(stated, name, key, {})
        prompts = _prompts(files, body)
        used = {purpose: next((key for key in keys if key in prompts), "") for purpose, keys in _NAMES.items()}
        prefixes = {purpose: prompts[key] for purpose, key in used.items() if prompts.get(key)}
        unused = [key for key, prompt in prompts.items() if prompt and key not in used.values()]
        return cls(
            max_tokens=most_tokens(files, body.most_tokens, name, stated.get("max_seq_length")),
            lowercase=bool(stated.get("do_lower_case")),
            prefixes=prefixes,
            notes=tuple(f"the prompt {shown(key)} of {PROMPTS} is not used" for key in unused),
        )


def _prompts(files: Mapping[str, Path], body: Body) -> dict[str, str]:
    """The prompts by their names."""
    stated = read_prompts(files, _PROMPT_KEYS)
    require(stated, PROMPTS, "model_type", "SentenceTransformer")
    require(stated, PROMPTS, "truncate_dim", body.hidden)
    prompts = stated.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise IntegrityError(f"prompts of {PROMPTS} is {shown(prompts)}, expected texts by name", hint=_MEND)
    default = stated.get("default_prompt_name")
    if default is not None and prompts.get(str(default)) != "":
        raise UnsupportedError(
            f"{PROMPTS} has the default prompt {shown(default)}; the box has prompts only for queries and documents",
            hint=f"set default_prompt_name to null if texts of no purpose need no prompt; {_MEND}",
        )
    return prompts
