"""A completion as values: what is asked of Triton, and the pieces that come back. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.gateway.access.visit import Visit
from appliance.inference.events import TokenLogprob, Usage


@dataclass(frozen=True)
class CompletionRequest:
    """One request to a model.

    Attributes:
        request_id: unique among those under way; also Triton's request id.
        model: the model's name in Triton.
        prompt_ids: the prompt's tokens.
        sampling: the engine's sampling settings by their names; absent ones have the engine's defaults.
        stream: False asks for the completion in one piece.
        timeout_s: seconds from now after which the engine gives up.
        prompt_param: what the client's API calls the prompt, for errors about it.
        structure_param: what it calls that which `structured_outputs` comes from.
        other_names: what it calls other parameters, by the engine's names.
        choices: how many answers are wanted.
        visit: whose request it is, and what its tokens are counted against; None: nobody's.
    """

    request_id: str
    model: str
    prompt_ids: Sequence[int]
    sampling: Mapping[str, Any]
    stream: bool
    timeout_s: float
    prompt_param: str = "prompt"
    structure_param: str = "structured_outputs"
    choices: int = 1
    other_names: Mapping[str, str] = field(default_factory=dict)
    visit: Visit | None = None

    @property
    def client_names(self) -> Mapping[str, str]:
        """The engine's names of parameters that the client calls otherwise."""
        return {"prompt": self.prompt_param, "structured_outputs": self.structure_param, **self.other_names}


@dataclass(frozen=True)
class Delta:
    """What one response of the model adds to the completion.

    Attributes:
        text: new text; may be empty while characters are held back.
        token_ids: new tokens.
        logprobs: one entry a token if they were asked for.
        finish_reason: "stop" or "length" with the last piece, else empty.
        usage: with the last piece.
        stop_reason: with the last piece, the stop string or stop token of the request that ended the completion.
        choice: which of several answers it belongs to, from 0.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    stop_reason: str | int | None = None
    choice: int = 0
