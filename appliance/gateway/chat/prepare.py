"""From a conversation to what the engine is asked: prompt, grammar, and a reader for the answer. It samples nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.chat import history
from appliance.gateway.chat.calls import NewId
from appliance.gateway.chat.grammar import Grammar
from appliance.gateway.chat.marks import CALL_OPEN, THINK_CLOSE, THINK_OPEN
from appliance.gateway.chat.reader import Reader, new_call_id
from appliance.gateway.chat.request import ChatRequest, Tool
from appliance.gateway.served_model import ServedModel
from appliance.json_schema import check_schema

_SWITCH = "enable_thinking"
# The template's own; a client's options replace none of them.
_RESERVED = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token", "raise_exception"}
    | {"strftime_now", "namespace", "range", "dict", "lipsum", "cycler", "joiner", _SWITCH}
)
# The engine's limit of what a bias can do; it makes a token unlikely beyond all others.
_NEVER = -100.0


@dataclass(frozen=True)
class Prepared:
    """A conversation, ready to be asked.

    Attributes:
        prompt_ids: the prompt's tokens.
        structure: the engine's `structured_outputs`; None for a free answer.
        logit_bias: token id → bias that comes to the client's own.
        structure_param: what the client calls the thing that `structured_outputs` comes from.
        model: whose answer it will be.
        tools: those that the answer may call.
        is_thinking: the prompt ends inside of a thought.
    """

    prompt_ids: Sequence[int]
    structure: Mapping[str, Any] | None
    logit_bias: Mapping[str, float]
    structure_param: str
    model: ServedModel
    tools: tuple[Tool, ...]
    is_thinking: bool

    def settings(self, sampling: Mapping[str, Any]) -> dict[str, Any]:
        """Return the client's sampling settings, by the engine's names, with what this conversation adds."""
        added: dict[str, Any] = {} if self.structure is None else {"structured_outputs": self.structure}
        if self.logit_bias:
            added["logit_bias"] = {**sampling.get("logit_bias", {}), **self.logit_bias}
        return {**sampling, **added}

    def reader(self, new_id: NewId = new_call_id) -> Reader:
        """A reader for one answer; `new_id` names its calls."""
        return Reader(self.model.dialect, self.tools, is_thinking=self.is_thinking, new_id=new_id)


async def prepare(model: ServedModel, request: ChatRequest) -> Prepared:
    """Check, render and encode a conversation.

    Raises:
        RequestError: the model cannot do what is asked; the client's own name of it is `param`.
        PromptTooLongError: the conversation does not fit the model's context.
    """
    names = request.client_names
    text = _rendered(model, request)
    ids = await model.encode_rendered(text, names.messages)
    callable_tools = _callable(request)
    return Prepared(
        prompt_ids=ids,
        structure=_structure(model, request, callable_tools, text),
        # The prompt still lists the tools, so that a conversation that goes on with them keeps its prefix.
        logit_bias={str(model.marks[CALL_OPEN]): _NEVER} if request.tools and not callable_tools else {},
        structure_param=names.tools if callable_tools else names.response_format,
        model=model,
        tools=callable_tools,
        is_thinking=_is_open(model, text),
    )


async def tokenize(model: ServedModel, request: ChatRequest) -> list[int]:
    """Return the tokens of a conversation's prompt, of any length; raises as `prepare` does otherwise."""
    return await model.tokenize_rendered(_rendered(model, request))


def _rendered(model: ServedModel, request: ChatRequest) -> str:
    """The prompt's text."""
    template = model.chat_template
    _check_tools(model, request)
    options = _options(model, request)
    messages = history.for_template(request.messages, request.client_names.messages)
    tools = [history.tool_for_template(tool) for tool in request.tools]
    return template.render(messages, tools=tools, options=options)


def _check_tools(model: ServedModel, request: ChatRequest) -> None:
    names = request.client_names
    choice = request.tool_choice
    known = {tool.name for tool in request.tools}
    if len(known) < len(request.tools):
        raise RequestError("two tools have one name", param=names.tools)
    if choice.mode in {"required", "named"} and not request.tools:
        raise RequestError(f"{names.tool_choice} needs {names.tools}", param=names.tool_choice)
    if choice.mode == "named" and choice.name not in known:
        raise RequestError(f"{names.tool_choice} names {choice.name!r}, which is no tool", param=names.tool_choice)
    asked = names.tools if request.tools else names.messages if history.uses_tools(request.messages) else ""
    if not asked or model.dialect.tools:
        return
    raise RequestError(f"{asked} cannot be honoured: {model.name} was not trained to call tools", param=asked)


def _options(model: ServedModel, request: ChatRequest) -> dict[str, Any]:
    """The template's variables: the client's own, and the switch for thinking."""
    names = request.client_names
    variables = model.chat_template.variables
    for key in request.template_options:
        if key not in variables or key in _RESERVED:
            raise RequestError(
                f"{names.template_options}.{key} cannot be honoured: the chat template of {model.name} has no such"
                " option",
                param=f"{names.template_options}.{key}",
            )
    if request.thinking is None or (not request.thinking and not model.dialect.thinks):
        return dict(request.template_options)
    if not model.dialect.thinks:
        raise RequestError(f"{names.thinking} cannot be honoured: {model.name} does not think", param=names.thinking)
    if _SWITCH not in variables and not request.thinking:
        raise RequestError(f"{names.thinking} cannot be honoured: {model.name} always thinks", param=names.thinking)
    return {**request.template_options, _SWITCH: request.thinking}


def _callable(request: ChatRequest) -> tuple[Tool, ...]:
    choice = request.tool_choice
    if choice.mode == "none":
        return ()
    return tuple(tool for tool in request.tools if choice.mode != "named" or tool.name == choice.name)


def _structure(
    model: ServedModel, request: ChatRequest, tools: Sequence[Tool], prompt: str
) -> Mapping[str, Any] | None:
    """What the engine is told about the answer's form; None when it is free and only parsed."""
    response_format = request.response_format
    is_forced = request.tool_choice.mode in {"required", "named"}
    several = request.parallel_tool_calls and request.tool_choice.mode != "named"
    has_rules = is_forced or any(tool.strict for tool in tools) or (bool(tools) and not several)
    if not has_rules and response_format is None:
        return None
    thinks = model.dialect.thinks and not prompt.rstrip("\n").endswith(THINK_CLOSE)
    if not tools and not thinks:
        return response_format
    _check_schemas(request, [tool for tool in tools if is_forced or tool.strict])
    grammar = Grammar(model.dialect.tools)
    thought = grammar.thought(is_open=_is_open(model, prompt)) if thinks else ""
    if is_forced:
        answer = grammar.calls(tools, by_schema=True, several=several)
    elif response_format is None:
        answer = grammar.text_or_calls(tools, several=several)
    else:
        answer = grammar.format(response_format)
        if tools:
            answer += f" | {grammar.calls(tools, by_schema=False, several=several)}"
    return {"grammar": grammar.text(thought=thought, answer=answer)}


def _check_schemas(request: ChatRequest, bound: Sequence[Tool]) -> None:
    """Look at what goes into a grammar, where the engine does not see that it is a schema."""
    for tool in bound:
        check_schema(tool.parameters, request.client_names.tools)
    if request.response_format is not None:
        check_schema(request.response_format.get("json"), request.client_names.response_format)


def _is_open(model: ServedModel, prompt: str) -> bool:
    return model.dialect.thinks and prompt.rstrip("\n").endswith(THINK_OPEN)
