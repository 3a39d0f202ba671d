"""Turns a conversation into a prompt, a grammar and a reader for the answer. It samples nothing."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.errors import RequestError
from appliance.gateway.chat import continuation, history
from appliance.gateway.chat.calls import NewId
from appliance.gateway.chat.checked import CheckedReader, Unheld
from appliance.gateway.chat.control_texts import Marked, unescaped
from appliance.gateway.chat.grammar import Grammar
from appliance.gateway.chat.marks import CALL_OPEN, THINK_CLOSE, THINK_OPEN
from appliance.gateway.chat.reader import Reader, new_call_id
from appliance.gateway.chat.request import ChatRequest, Tool
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.chat.structure import Bound
from appliance.gateway.chat.unmarked import UnmarkedCalls
from appliance.gateway.triton.completion import Delta

_SWITCH = "enable_thinking"
# The template's own variables; a client's options cannot replace them.
_RESERVED = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token", "raise_exception"}
    | {"strftime_now", "namespace", "range", "dict", "lipsum", "cycler", "joiner", _SWITCH}
)
_INLINE_MESSAGES = 32
# The engine's lowest bias; it makes a token less likely than all others.
_NEVER = -100.0


@dataclass(frozen=True)
class Prepared:
    """A conversation that is ready for the engine.

    Attributes:
        prompt_ids: the prompt's tokens.
        structure: the engine's `structured_outputs`; None for a free answer.
        logit_bias: token id → bias, added to the client's own.
        client_names: "prompt" and "structured_outputs" → the client's names of the parameters from which they come.
        model: the model that answers.
        tools: the tools that the answer may call.
        is_thinking: the prompt ends inside a thought.
        continues: the answer continues a turn that was begun, so the model cannot think first.
        unmarked: recognises calls without marks in one answer; None: such calls are text.
        unheld: the schema keywords that the answer may break.
        ignored: the client's names of parameters that have no effect on this model.
    """

    prompt_ids: Sequence[int]
    structure: Mapping[str, Any] | None
    logit_bias: Mapping[str, float]
    client_names: Mapping[str, str]
    model: ServedModel
    tools: tuple[Tool, ...]
    is_thinking: bool
    continues: bool = False
    unmarked: Callable[[], UnmarkedCalls] | None = None
    unheld: Unheld = field(default_factory=Unheld)
    ignored: tuple[str, ...] = ()

    def settings(self, sampling: Mapping[str, Any]) -> dict[str, Any]:
        """Return the client's sampling settings, by the engine's names, with this conversation's additions."""
        added: dict[str, Any] = {} if self.structure is None else {"structured_outputs": self.structure}
        if self.logit_bias:
            added["logit_bias"] = {**sampling.get("logit_bias", {}), **self.logit_bias}
        return {**sampling, **added}

    @property
    def check(self) -> Prepared | None:
        """Itself, if a complete answer can break a schema; see `breaks`."""
        return self if self.unheld.places else None

    def breaks(self, deltas: Sequence[Delta]) -> bool:
        """Whether a complete answer certainly breaks its schema."""
        unheld = self.unheld.anew()
        reader = replace(self, unheld=unheld).reader()
        for delta in deltas:
            reader.read(delta)
        return bool(unheld.broken)

    def retried(self) -> None:
        """Note that the model was asked again."""
        self.unheld.retries += 1

    def reader(self, new_id: NewId = new_call_id) -> Reader:
        """A reader for one answer; `new_id` creates the ids of its calls."""
        dialect = replace(self.model.dialect, thinks=False) if self.continues else self.model.dialect
        kind = functools.partial(CheckedReader, self.unheld) if self.unheld.places else Reader
        unmarked = self.unmarked() if self.unmarked is not None else None
        return kind(dialect, self.tools, is_thinking=self.is_thinking, unmarked=unmarked, new_id=new_id)


async def prepare(model: ServedModel, request: ChatRequest) -> Prepared:
    """Check, render and encode a conversation.

    Raises:
        RequestError: the model does not support the request; `param` is the client's name for the parameter.
        PromptTooLongError: the conversation does not fit the model's context.
    """
    names = request.client_names
    text, ids = await _encoded(model, request)
    model.check_length(ids, names.messages)
    callable_tools = _callable(request)
    structure, unheld = _structure(model, request, callable_tools, text)
    return Prepared(
        prompt_ids=ids,
        structure=structure,
        # The prompt still lists the tools, so that a conversation that uses them later keeps its prefix.
        logit_bias={str(model.marks[CALL_OPEN]): _NEVER} if request.tools and not callable_tools else {},
        client_names={
            "prompt": names.messages,
            "structured_outputs": names.tools if callable_tools else names.response_format,
        },
        model=model,
        tools=callable_tools,
        is_thinking=not request.continues and _is_open(model, text),
        continues=request.continues,
        unmarked=_unmarked(request, callable_tools),
        unheld=unheld,
        ignored=ignored(model, request),
    )


async def tokenize(model: ServedModel, request: ChatRequest) -> list[int]:
    """Return the tokens of a conversation's prompt, even if it is too long; otherwise raises as `prepare` does."""
    return (await _encoded(model, request))[1]


async def _encoded(model: ServedModel, request: ChatRequest) -> tuple[str, list[int]]:
    """The prompt's text, with signs where content could be read as control tokens, and its tokens."""
    template = model.chat_template
    param = request.client_names.messages
    _check_tools(model, request)
    options = _options(model, request)
    for text in history.texts(request.messages):
        model.check_characters(text, param)
    content = await _apart(request, functools.partial(_content, model, request, options))
    text = await template.render(
        content.messages,
        tools=content.tools,
        options=content.options,
        max_characters=model.manifest.shape.max_characters,
    )
    text = unescaped(text, content.sign) if content.sign else text
    if request.continues:
        text = continuation.cut_behind(text, content.messages[-1]["content"], param)
    return text, await model.tokenize_rendered(text, content.sign, param)


def _content(model: ServedModel, request: ChatRequest, options: Mapping[str, Any]) -> Marked:
    """The conversation as the template's input."""
    messages = history.for_template(request.messages, request.client_names.messages)
    tools = [history.tool_for_template(tool) for tool in request.tools]
    marked = model.controls.mark(messages, tools, options)
    return replace(marked, messages=continuation.open_ended(marked.messages)) if request.continues else marked


async def _apart(request: ChatRequest, work: Callable[[], Marked]) -> Marked:
    """Run `work`, on a thread if it is long: Python code lets the event loop run between its steps."""
    has_objects = request.tools or history.uses_tools(request.messages)
    if has_objects or len(request.messages) > _INLINE_MESSAGES:
        return await asyncio.to_thread(work)
    return work()


def _check_tools(model: ServedModel, request: ChatRequest) -> None:
    names = request.client_names
    choice = request.tool_choice
    known = {tool.name for tool in request.tools}
    if len(known) < len(request.tools):
        raise RequestError("two tools have the same name", param=names.tools)
    for tool in request.tools:
        kind = (tool.parameters or {}).get("type", "object")
        if kind != "object" and not (isinstance(kind, list) and "object" in kind):
            raise RequestError(
                f"the parameters of the tool {tool.name!r} must be a schema of the type 'object'", param=names.tools
            )
    if choice.mode in {"required", "named"} and not request.tools:
        raise RequestError(f"{names.tool_choice} needs {names.tools}", param=names.tool_choice)
    for name in {choice.name} if choice.mode == "named" else sorted(choice.allowed or ()):
        if name not in known:
            raise RequestError(
                f"{names.tool_choice} names {name!r}, which is not one of the tools", param=names.tool_choice
            )
    if choice.mode == "required" and not _callable(request):
        raise RequestError(f"{names.tool_choice} requires a call, but allows no tool", param=names.tool_choice)
    asked = names.tools if request.tools else names.messages if history.uses_tools(request.messages) else ""
    if not asked or model.dialect.tools:
        return
    raise RequestError(f"{asked} is not supported: {model.name} was not trained to call tools", param=asked)


def can_switch_thinking(model: ServedModel) -> bool:
    """Whether a request can switch the model's thoughts on and off."""
    return model.dialect.thinks and model.template is not None and _SWITCH in model.template.variables


def _options(model: ServedModel, request: ChatRequest) -> dict[str, Any]:
    """The template's variables: the client's options, and the switch for thinking."""
    names = request.client_names
    variables = model.chat_template.variables
    for key in request.template_options:
        if key in _RESERVED:
            raise RequestError(
                f"{names.template_options}.{key} is not supported: the box sets this variable of the chat template",
                param=f"{names.template_options}.{key}",
            )
    options = {key: value for key, value in request.template_options.items() if key in variables}
    if request.thinking is None or not _has_switch(model, request):
        return options
    return {**options, _SWITCH: request.thinking}


def ignored(model: ServedModel, request: ChatRequest) -> tuple[str, ...]:
    """The client's names of parameters that have no effect on this model."""
    names, variables = request.client_names, model.chat_template.variables
    options = [f"{names.template_options}.{key}" for key in request.template_options if key not in variables]
    return (*options, *(() if _has_switch(model, request) else (names.thinking,)))


def _has_switch(model: ServedModel, request: ChatRequest) -> bool:
    """Whether the model thinks or does not think, as the request wants it."""
    if request.thinking is None or request.thinking is model.dialect.thinks:
        return True
    return model.dialect.thinks and _SWITCH in model.chat_template.variables


def _callable(request: ChatRequest) -> tuple[Tool, ...]:
    choice = request.tool_choice
    if choice.mode == "none":
        return ()
    allowed = {choice.name} if choice.mode == "named" else choice.allowed
    return tuple(tool for tool in request.tools if allowed is None or tool.name in allowed)


def _unmarked(request: ChatRequest, tools: Sequence[Tool]) -> Callable[[], UnmarkedCalls] | None:
    """See `Prepared.unmarked`. A format asks for JSON as text, and a continued turn is no whole answer."""
    if not tools or request.tool_choice.mode != "auto" or request.response_format is not None or request.continues:
        return None
    contents = [message["content"] for message in request.messages if message["role"] in {"user", "tool"}]
    return functools.partial(UnmarkedCalls, tools, several=request.parallel_tool_calls, contents=contents)


def _structure(
    model: ServedModel, request: ChatRequest, tools: Sequence[Tool], prompt: str
) -> tuple[Mapping[str, Any] | None, Unheld]:
    """The engine's `structured_outputs`, and the schema keywords that the answer may break.

    The first is None if the answer is free and is only parsed.
    """
    is_forced = request.tool_choice.mode in {"required", "named"}
    several = request.parallel_tool_calls and request.tool_choice.mode != "named"
    has_rules = is_forced or any(tool.strict for tool in tools) or (bool(tools) and not several)
    if not has_rules and request.response_format is None:
        return None, Unheld()
    if request.response_format is not None and request.continues:
        name = request.client_names.response_format
        raise RequestError(
            f"{name} cannot be combined with an assistant's text at the end of the conversation", param=name
        )
    bound = Bound(request, tools, is_forced=is_forced)
    thinks = model.dialect.thinks and not request.continues and not prompt.rstrip("\n").endswith(THINK_CLOSE)
    if not tools and not thinks:
        is_any = "json" not in (request.response_format or {})
        return request.response_format if is_any else {"json": bound.format}, bound.unheld()
    if request.response_format is not None and not request.response_format.keys() & {"json", "json_object"}:
        name = request.client_names.response_format
        other, hint = ("tools", "leave out the tools") if tools else ("thinking", "switch thinking off")
        raise RequestError(
            f"{name}: a regex, a choice or a grammar cannot be combined with {other}",
            hint=f"{hint}, or describe the answer with a JSON schema",
            param=name,
        )
    grammar = Grammar(model.dialect.tools)
    thought = grammar.thought(is_open=_is_open(model, prompt)) if thinks else ""
    if is_forced:
        answer = grammar.calls(tools, bound.tools, several=several)
    elif bound.format is None:
        answer = grammar.text_or_calls(tools, bound.tools, several=several)
    else:
        answer = grammar.format(bound.format)
        if tools:
            answer += f" | {grammar.calls(tools, bound.tools, several=several)}"
    return {"grammar": grammar.text(thought=thought, answer=answer)}, bound.unheld(grammar.unheld)


def _is_open(model: ServedModel, prompt: str) -> bool:
    return model.dialect.thinks and prompt.rstrip("\n").endswith(THINK_OPEN)
