"""What tritonclient sends to a model in the lean form of our contract."""

from __future__ import annotations

import json

import numpy as np
import tritonclient.grpc as triton


def lean(ids=(1, 2, 3)):
    """Inputs in the form that the fake Triton reads."""
    texts = {"sampling_parameters": {}, "request_options": {}}
    arrays = {"input_ids": (np.array(ids, dtype=np.int32), "INT32"), "stream": (np.array([True]), "BOOL")}
    arrays |= {
        name: (np.array([json.dumps(value).encode()], dtype=np.object_), "BYTES") for name, value in texts.items()
    }
    made = []
    for name, (array, datatype) in arrays.items():
        one = triton.InferInput(name, array.shape, datatype)
        one.set_data_from_numpy(array)
        made.append(one)
    return made
