"""Tries a template before anybody serves it: what fails for every conversation is found at pull and export."""

from __future__ import annotations

from appliance.chat_template.running import RunningTemplate, TemplateSource
from appliance.errors import RequestError, UnsupportedError

_TRIALS = (
    [{"role": "user", "content": "Hello"}],
    [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Bye"}],
)
_MAX_CHARACTERS = 1 << 20


def check_template(source: str, *, bos_token: str, eos_token: str) -> frozenset[str]:
    """Compile a template and render conversations that every template for chats takes, within the budget.

    Returns:
        names of the variables that it reads.

    Raises:
        UnsupportedError: it cannot be compiled, or refuses these conversations, or costs too much.
    """
    running = RunningTemplate(TemplateSource(source, bos_token, eos_token))
    try:
        for messages in _TRIALS:
            running.render_now({"messages": messages, "max_characters": _MAX_CHARACTERS})
    except RequestError as error:
        raise UnsupportedError(f"the chat template cannot be used: {error.message}") from error
    finally:
        running.end()
    return running.variables
