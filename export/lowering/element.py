"""The floating-point type of a graph, and the conversion of constants to this type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from appliance.errors import QualityError
from export.presets import Preset

_ONNX: Mapping[str, ir.DataType] = {
    "float32": ir.DataType.FLOAT,
    "bfloat16": ir.DataType.BFLOAT16,
    "float16": ir.DataType.FLOAT16,
}
_NUMPY: Mapping[str, npt.DTypeLike] = {
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
}


@dataclass(frozen=True)
class Element:
    """The element type of activations, cache and all floating-point constants.

    Attributes:
        name: the type to which constants are rounded: "float32", "bfloat16" or "float16".
        emulated: constants are rounded to that type, but stored and used in computations as 32-bit floats.
    """

    name: str
    emulated: bool

    @classmethod
    def of(cls, preset: Preset) -> Element:
        """The element type of a preset."""
        return cls(preset.activations, preset.emulated)

    @property
    def onnx(self) -> ir.DataType:
        """The type in the graph."""
        return _ONNX["float32" if self.emulated else self.name]

    @property
    def rounded_to(self) -> ir.DataType:
        """The type to which constants are rounded."""
        return _ONNX[self.name]

    def hold(self, name: str, array: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
        """Round a constant to the nearest value of the type; `name` is for the message.

        Raises:
            QualityError: a value is outside the range of the type.
        """
        if self.name == "float32":
            return array
        with np.errstate(over="ignore"):
            rounded = array.astype(_NUMPY[self.name])
        if not np.isfinite(rounded).all():
            raise QualityError(
                f"the weight {name} reaches {np.abs(array).max():g}, beyond the range of {self.name}",
                hint="use the bfloat16 preset, which has the range of 32-bit floats",
            )
        return rounded.astype(np.float32) if self.emulated else rounded
