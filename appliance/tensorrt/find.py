"""Finds TensorRT on this machine. It imports TensorRT only when needed: the libraries are large.

There are two products: TensorRT itself, which JetPack and server installations include, and TensorRT for RTX, which
installs from wheels and serves consumer GPUs. They have the same Python interface and different version numbers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from appliance.errors import MissingProgramError
from appliance.extras import install_command


class Flavour(Enum):
    """Which of the two TensorRT products."""

    TENSORRT = "tensorrt"
    RTX = "tensorrt-rtx"

    @property
    def title(self) -> str:
        """The product's name."""
        return "TensorRT for RTX" if self is Flavour.RTX else "TensorRT"


# The machine's own TensorRT is preferred to TensorRT for RTX from a wheel.
_MODULES = {Flavour.TENSORRT: "tensorrt", Flavour.RTX: "tensorrt_rtx_bindings"}
_FROM_NVIDIA = "it comes with JetPack on a Jetson, and from NVIDIA's packages on a server"


class Versions(Protocol):
    """A range of versions in a target file."""

    def covers(self, version: str) -> bool:
        """Whether the range includes a version such as "10.15.1"; ValueError if a part is not a number."""


@dataclass(frozen=True)
class TensorRt:
    """A loaded TensorRT.

    Attributes:
        module: its Python interface.
        flavour: see Flavour.
        version: the version that it reports, such as "10.15.1.29".
    """

    module: Any
    flavour: Flavour
    version: str

    def __str__(self) -> str:
        return f"{self.flavour.title} {self.version}"


def find_tensorrt(ranges: Mapping[Flavour, Versions | None]) -> TensorRt:
    """Load the TensorRT that a target needs.

    Args:
        ranges: the versions of each flavour that serve the target; None or no entry if a flavour does not.

    Raises:
        MissingProgramError: no suitable version is installed, or it cannot be loaded.
    """
    serving = {flavour: versions for flavour in _MODULES if (versions := ranges.get(flavour)) is not None}
    if not serving:
        raise MissingProgramError(
            "TensorRT does not support this target", hint="choose a preset that does not need TensorRT"
        )
    installed = [flavour for flavour in serving if importlib.util.find_spec(_MODULES[flavour])]
    unfit = []
    # If none is installed, report the last one as missing: RTX installs from a wheel, if it serves the target.
    for flavour in installed or list(serving)[-1:]:
        found = load_tensorrt(flavour)
        if _is_within(found.version, serving[flavour]):
            return found
        unfit.append(found)
    first = unfit[0]
    raise MissingProgramError(
        f"{first} is installed, but this target needs {serving[first.flavour]}",
        hint=f"install {first.flavour.title} of a version within: {_how_to_install(first.flavour)}",
    )


def load_tensorrt(flavour: Flavour) -> TensorRt:
    """Load one flavour, of any version.

    Raises:
        MissingProgramError: the flavour is not installed, or its libraries cannot be loaded.
    """
    name = _MODULES[flavour]
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingProgramError(f"{flavour.title} is not installed", hint=_how_to_install(flavour)) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingProgramError(
            f"{flavour.title} is installed but cannot be loaded: {error}",
            hint=f"install it again: {_how_to_install(flavour)}",
        ) from error
    return TensorRt(module, flavour, str(module.__version__))


def _is_within(version: str, versions: Versions) -> bool:
    try:
        return versions.covers(version)
    except ValueError:
        return False


def _how_to_install(flavour: Flavour) -> str:
    return install_command("tensorrt") if flavour is Flavour.RTX else _FROM_NVIDIA
