"""The tensors of a text-generation model: those of Triton's vLLM backend, and our lean form beside them.

`text_input` in, text out is what clients written for that backend send. `input_ids` in, `token_ids` and text out is
what the gateway sends. Exactly one of the two inputs is given. docs/triton-contract.md explains each.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LENGTH = struct.Struct("<I")
# A parameter of Triton's request: it has no inputs and gets no answer. The gateway opens each of its streams with such
# a request. Clients cannot send it through the gateway, which gives each of their requests the input `principal`.
OPENS_STREAM = "opens_stream"
# The input that says whose request it is. The gateway sets it, from who is authenticated.
PRINCIPAL = "principal"


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: as clients send it.
        data_type: Triton's name of the element type.
        size: number of elements; -1 means any.
        meaning: one line for the documentation.
    """

    name: str
    data_type: str
    size: int
    meaning: str


INPUTS = (
    Tensor(
        "text_input", "TYPE_STRING", 1, "the prompt as UTF-8 text; special tokens in it are encoded as special tokens"
    ),
    Tensor("input_ids", "TYPE_INT32", -1, "the prompt as token ids (compact form)"),
    Tensor("stream", "TYPE_BOOL", 1, "true: one response for each step; false (default): one response at the end"),
    Tensor(
        "sampling_parameters",
        "TYPE_STRING",
        1,
        "JSON object with vLLM's sampling parameters, including structured_outputs",
    ),
    Tensor(
        "request_options",
        "TYPE_STRING",
        1,
        'JSON object: "timeout_s", the time limit in seconds; "adapter" is not supported yet',
    ),
    Tensor(
        PRINCIPAL,
        "TYPE_STRING",
        1,
        "set by the gateway: the principal of the request, for prefix reuse and fair queueing",
    ),
    Tensor(
        "exclude_input_in_output",
        "TYPE_BOOL",
        1,
        "true: text_output does not contain the prompt; default: the value of stream",
    ),
    Tensor("return_finish_reason", "TYPE_BOOL", 1, "send finish_reason"),
    Tensor("return_cumulative_logprob", "TYPE_BOOL", 1, "send cumulative_logprob"),
    Tensor("return_logprobs", "TYPE_BOOL", 1, "send logprobs; null if the sampling parameter logprobs is absent"),
    Tensor("return_num_input_tokens", "TYPE_BOOL", 1, "send num_input_tokens"),
    Tensor("return_num_output_tokens", "TYPE_BOOL", 1, "send num_output_tokens"),
)

OUTPUTS = (
    Tensor("text_output", "TYPE_STRING", -1, "the new text of this response"),
    Tensor("token_ids", "TYPE_INT32", -1, "the new tokens of this response (compact form)"),
    Tensor(
        "finish_reason", "TYPE_STRING", -1, '"stop", "length", or "None" before the end (compact form: only at the end)'
    ),
    Tensor("cumulative_logprob", "TYPE_FP32", -1, "sum of the log-probabilities so far"),
    Tensor("logprobs", "TYPE_STRING", -1, "JSON: for each new token, token id -> logprob, rank, decoded_token"),
    Tensor("num_input_tokens", "TYPE_UINT32", 1, "number of prompt tokens"),
    Tensor("num_output_tokens", "TYPE_UINT32", -1, "number of new tokens in this response"),
    Tensor("usage", "TYPE_STRING", 1, "JSON: tokens, seconds and stop_reason, in the last response (compact form)"),
)


def element(content: bytes) -> bytes:
    """One element of a BYTES tensor in raw contents.

    Source: KServe's v2 protocol, extension "binary tensor data": four bytes of length, little-endian, before each.
    """
    return _LENGTH.pack(len(content)) + content


def is_one_element(raw: bytes) -> bool:
    """Whether the raw contents are one element, and nothing else."""
    return raw == element(raw[_LENGTH.size :])


def elements(raw: bytes) -> list[bytes]:
    """The elements of a BYTES tensor.

    Raises:
        struct.error, ValueError: the content ends within one.
    """
    found = []
    start = 0
    while start < len(raw):
        (length,) = _LENGTH.unpack_from(raw, start)
        start += _LENGTH.size + length
        if start > len(raw):
            raise ValueError(f"a BYTES element claims {length} bytes")
        found.append(raw[start - length : start])
    return found


def reference() -> str:
    """The tables of tensors as Markdown; `docs/triton-contract.md` holds them."""
    return f"{_table('Inputs, all optional', INPUTS)}\n{_table('Outputs', OUTPUTS)}"


def _table(title: str, tensors: tuple[Tensor, ...]) -> str:
    lines = [f"## {title}", "", "| tensor | type | elements | meaning |", "|---|---|---|---|"]
    for tensor in tensors:
        size = "any" if tensor.size < 0 else str(tensor.size)
        lines.append(f"| `{tensor.name}` | {tensor.data_type.removeprefix('TYPE_')} | {size} | {tensor.meaning} |")
    return "\n".join(lines) + "\n"
