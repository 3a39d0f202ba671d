"""What each model of a route can do, from its manifest, so that nobody finds it out during a fallback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import Manifest, TextGeneration
from appliance.cli.box import Box
from appliance.errors import ApplianceError
from appliance.supervisor import state
from appliance.supervisor.choose import choose


@dataclass(frozen=True)
class Abilities:
    """The abilities of one model.

    Attributes:
        model: its name.
        task: what it does.
        context_tokens: the longest prompt with its completion, in tokens; 0 for another task than text generation.
        tools, thinking: whether it was trained for tools, and to think before it answers.
        maker, licence: "" is not known.
    """

    model: str
    task: str
    context_tokens: int
    tools: bool
    thinking: bool
    maker: str
    licence: str

    def missing(self, preferred: Abilities) -> list[str]:
        """What it cannot do although the preferred model of the route can, for people."""
        found = []
        if self.task != preferred.task:
            found.append(f"it has another task ({self.task})")
        if self.context_tokens < preferred.context_tokens:
            found.append(f"context of {self.context_tokens} tokens instead of {preferred.context_tokens}")
        if preferred.tools and not self.tools:
            found.append("it was not trained for tools")
        if preferred.thinking and not self.thinking:
            found.append("it does not think before it answers")
        return found


def abilities(box: Box, model: str) -> Abilities | None:
    """The abilities of a model that is served or exported; None if it is neither, or its manifest is damaged."""
    try:
        manifest = _manifest(box, model)
    except ApplianceError:
        return None
    task = manifest.task
    is_text = isinstance(task, TextGeneration)
    return Abilities(
        model,
        manifest.task_name,
        task.shape.context_tokens if isinstance(task, TextGeneration) else 0,
        tools=is_text and bool(manifest.conversation.tools),
        thinking=is_text and manifest.conversation.thinking,
        maker=manifest.maker,
        licence=manifest.license,
    )


def _manifest(box: Box, model: str) -> Manifest:
    up = state.read(box.layout.run)
    served = next((each for each in up.models if each.name == model), None) if up is not None else None
    if served is not None:
        return read_manifest(Path(served.artefact))
    own = box.config.serve.of(model)
    return choose(box.layout, model, own.target, own.preset).manifest
