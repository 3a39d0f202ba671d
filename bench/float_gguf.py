"""Rewrites a quantised GGUF file with 16-bit floats, which the peers' converters read.

The values are the checkpoint's, rounded to 16 bits; this error is far below that of any quantisation.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

_SKIPPED = ("GGUF.", "general.architecture", "general.file_type")


def write_float_gguf(source: Path, target: Path) -> None:
    """Write `target` with the same metadata and tensors: matrices in float16, vectors in float32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for name, field in reader.fields.items():
        if not name.startswith(_SKIPPED):
            is_array = field.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1] if is_array else None)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape.tolist()[::-1])
        writer.add_tensor(tensor.name, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
