"""Renders one model's conversations in a few template processes, without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.chat_template.running import RunningTemplate, TemplateSource

# Two, so that one costly conversation does not delay the others.
_PROCESSES = 2


class Renderer:
    """See the module.

    Attributes:
        source: the template.
        variables: names of the variables that the template reads.
    """

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        """Compile the template in a first process.

        Raises:
            UnsupportedError: the template cannot be compiled, or compiling it exceeds the budget.
        """
        self.source = source
        self._template = TemplateSource(source, bos_token, eos_token)
        first = RunningTemplate(self._template)
        self.variables = first.variables
        self._idle = [first]
        self._places = asyncio.Semaphore(_PROCESSES)

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        max_characters: int,
    ) -> str:
        """Return the prompt text, up to the start of the assistant's answer.

        Args:
            messages: the conversation.
            tools: the available tools, in the format of OpenAI and Hugging Face.
            options: further variables; they do not replace the template's standard variables.
            max_characters: maximum characters of the text.

        Raises:
            RequestError: the template does not accept this conversation, or rendering exceeds the budget.
            PromptTooLongError: the text is longer than `max_characters`.
        """
        asked = {"messages": messages, "tools": tools, "options": options, "max_characters": max_characters}
        async with self._places:
            running = self._taken()
            if running is None:
                running = await asyncio.to_thread(RunningTemplate, self._template)
            try:
                return await running.render(asked)
            finally:
                if running.is_usable:
                    self._idle.append(running)
                else:
                    running.end()

    def _taken(self) -> RunningTemplate | None:
        """Take an idle process that still runs; None if there is none."""
        while self._idle:
            running = self._idle.pop()
            if running.is_alive:
                return running
            running.end()
        return None

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().end()
