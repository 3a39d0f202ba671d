"""Renders a conversation with the model's own chat template, in Jinja's sandbox. The template may reject it.

The sandbox denies a template access to files and code. It does not limit CPU time or memory: see `worker`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from appliance.chat_template.json_text import JsonText
from appliance.errors import RequestError, UnsupportedError

# Jinja's errors, and the errors that template code can raise when it concatenates, indexes and calls filters.
_TEMPLATE_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    # Jinja writes an infinite constant, 1e400, as the name `inf`.
    NameError,
    RecursionError,
    TypeError,
    ValueError,
)


class ChatTemplate:
    """A compiled template in the environment that Hugging Face documents for `apply_chat_template`.

    Attributes:
        variables: names of the variables that the template reads.
    """

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        """Compile the template.

        Raises:
            UnsupportedError: the template's syntax is invalid or uses an unsupported extension.
        """
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols, _GenerationMark]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self.variables = frozenset(jinja2.meta.find_undeclared_variables(environment.parse(source)))
            self._template = environment.from_string(source)
        except (*_TEMPLATE_FAILURES, SyntaxError) as error:
            raise UnsupportedError(f"the chat template cannot be compiled: {error}") from error
        self._special = {"bos_token": bos_token, "eos_token": eos_token}

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the prompt text, up to the start of the assistant's answer.

        Args:
            messages: the conversation.
            tools: the available tools, in the format of OpenAI and Hugging Face.
            options: further variables; they do not replace the standard variables.

        Raises:
            RequestError: the template does not accept this conversation.
        """
        try:
            return self._template.render(
                {
                    **(options or {}),
                    **self._special,
                    "messages": messages,
                    "tools": tools or None,
                    "documents": None,
                    "add_generation_prompt": True,
                }
            )
        except _TEMPLATE_FAILURES as error:
            raise RequestError(
                f"the model's chat template does not accept these messages: {error}", param="messages"
            ) from error


class _GenerationMark(jinja2.ext.Extension):
    """`{% generation %}…{% endgeneration %}`: publishers mark text for training. The tag does not change the output."""

    tags = {"generation"}  # noqa: RUF012 - the library's own type

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        # As in transformers, the tag is a scope: variables that are set inside are not visible after it.
        return jinja2.nodes.Scope(body, lineno=line)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return dt.datetime.now().astimezone().strftime(form)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without the HTML escapes of Jinja's own filter, because models were trained without these escapes."""
    if isinstance(value, JsonText):
        return value.source
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
