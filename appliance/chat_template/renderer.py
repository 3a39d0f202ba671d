"""Renders one model's conversations, each in one of a few processes of its template. It keeps the event loop free."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.chat_template.running import RunningTemplate, TemplateSource

# Two, so that one costly conversation does not hold the others up.
_PROCESSES = 2


class Renderer:
    """See the module.

    Attributes:
        variables: names of the variables that the template reads.
    """

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        """Compile the template in a first process.

        Raises:
            UnsupportedError: it cannot be compiled, or not within the budget.
        """
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
        """Return the prompt text, ending where the assistant's answer begins.

        Args:
            messages: the conversation.
            tools: those on offer, as OpenAI and Hugging Face write them.
            options: more variables; they replace none of the template's own.
            max_characters: the longest text that can be of use.

        Raises:
            RequestError: the template does not accept this conversation, or it costs more than the budget.
            PromptTooLongError: the text would be longer.
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
        """One that runs and is idle."""
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
