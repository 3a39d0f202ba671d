"""Which models the site no longer accepts: a model, all models of a maker, or all models with a licence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.document import Bounds
from appliance.site import decision_file


def _texts() -> Any:
    return field(default=(), metadata=Bounds(least=0).metadata)


@dataclass(frozen=True)
class Origin:
    """What a policy can refuse about a model; "" is not known.

    Attributes:
        model: its name.
        maker: who trained it, as in the catalogue.
        licence: its licence, as in the catalogue.
    """

    model: str
    maker: str
    licence: str


@dataclass(frozen=True)
class Policy:
    """What the site refuses.

    Attributes:
        models, makers, licences: the refused values.
    """

    models: tuple[str, ...] = _texts()
    makers: tuple[str, ...] = _texts()
    licences: tuple[str, ...] = _texts()

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Read the file; raises as `decision_file.read` does."""
        return decision_file.read(cls, path)

    def save(self, path: Path) -> None:
        """Replace the file."""
        decision_file.write(self, path)

    def refusal(self, origin: Origin) -> str:
        """Why the site does not accept a model; empty if it does."""
        if origin.model in self.models:
            return f"the site's policy refuses the model {origin.model}"
        if origin.maker in self.makers:
            return f"the site's policy refuses models of {origin.maker}"
        if origin.licence in self.licences:
            return f"the site's policy refuses models with the licence {origin.licence}"
        return ""

    def refusing(self, models: Iterable[str], makers: Iterable[str], licences: Iterable[str]) -> Policy:
        """Return the policy that also refuses these."""
        return Policy(_with(self.models, models), _with(self.makers, makers), _with(self.licences, licences))

    def accepting(self, models: Iterable[str], makers: Iterable[str], licences: Iterable[str]) -> Policy:
        """Return the policy that no longer refuses these."""
        return replace(
            self,
            models=_without(self.models, models),
            makers=_without(self.makers, makers),
            licences=_without(self.licences, licences),
        )


def _with(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def _without(known: tuple[str, ...], gone: Iterable[str]) -> tuple[str, ...]:
    names = set(gone)
    return tuple(one for one in known if one not in names)
