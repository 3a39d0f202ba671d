"""The tensors of a text-generation model: those of Triton's vLLM backend, and the compact form.

Clients of the vLLM backend send `text_input` and get text. In the compact form, the gateway sends `input_ids` and gets
`token_ids` and text. A request has exactly one of the two inputs. docs/triton-contract.md explains each tensor.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LENGTH = struct.Struct("<I")
# A parameter of a Triton request without inputs, which gets no answer. The gateway opens each of its streams with this
# request. Clients cannot send it through the gateway: the gateway adds the input `principal` to each client's request.
OPENS_STREAM = "opens_stream"
# The input with the request's principal. The gateway sets it to the authenticated client.
PRINCIPAL = "principal"


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: the tensor's name in requests and responses.
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
    Tensor("return_prompt_logprobs", "TYPE_BOOL", 1, "send prompt_logprobs"),
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
    Tensor(
        "prompt_logprobs",
        "TYPE_STRING",
        -1,
        "JSON in the format of logprobs: for each next token of the prompt after its first; empty without the sampling"
        " parameter prompt_logprobs",
    ),
    Tensor("num_input_tokens", "TYPE_UINT32", 1, "number of prompt tokens"),
    Tensor("num_output_tokens", "TYPE_UINT32", -1, "number of new tokens in this response"),
    Tensor("usage", "TYPE_STRING", 1, "JSON: tokens, seconds and stop_reason, in the last response (compact form)"),
)

_TIMEOUT = Tensor("timeout_s", "TYPE_FP64", 1, "the time limit in seconds")
EMBEDDING_INPUTS = (
    Tensor("input_ids", "TYPE_INT32", -1, "the tokens of all texts, one after the other, with their special tokens"),
    Tensor("lengths", "TYPE_INT32", -1, "the number of tokens of each text"),
    _TIMEOUT,
)

EMBEDDING_OUTPUTS = (
    Tensor("embedding", "TYPE_FP32", -1, "the vectors of all texts, one after the other, in the order of the texts"),
)

RERANKING_INPUTS = (
    Tensor("input_ids", "TYPE_INT32", -1, "the tokens of all pairs, one after the other, with their special tokens"),
    Tensor("lengths", "TYPE_INT32", -1, "the number of tokens of each pair"),
    Tensor("first_lengths", "TYPE_INT32", -1, "the number of tokens before the second text of each pair"),
    _TIMEOUT,
)

RERANKING_OUTPUTS = (
    Tensor("logit", "TYPE_FP32", -1, "the logit of each pair; its sigmoid is the score of the HTTP API"),
)


def element(content: bytes) -> bytes:
    """Encode one element of a BYTES tensor for raw contents.

    Source: KServe's v2 protocol, extension "binary tensor data": each element follows its length in four bytes,
    little-endian.
    """
    return _LENGTH.pack(len(content)) + content


def is_one_element(raw: bytes) -> bool:
    """Whether the raw contents are exactly one element."""
    return raw == element(raw[_LENGTH.size :])


def elements(raw: bytes) -> list[bytes]:
    """Decode the elements of a BYTES tensor.

    Raises:
        struct.error, ValueError: the content ends within an element.
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
    """The tables of tensors as Markdown, for `docs/triton-contract.md`."""
    tables = (
        ("Inputs, all optional", INPUTS),
        ("Outputs", OUTPUTS),
        ("Inputs of an embedding model", EMBEDDING_INPUTS),
        ("Outputs of an embedding model", EMBEDDING_OUTPUTS),
        ("Inputs of a reranker", RERANKING_INPUTS),
        ("Outputs of a reranker", RERANKING_OUTPUTS),
    )
    return "\n".join(_table(*each) for each in tables)


def _table(title: str, tensors: tuple[Tensor, ...]) -> str:
    lines = [f"## {title}", "", "| tensor | type | elements | meaning |", "|---|---|---|---|"]
    for tensor in tensors:
        size = "any" if tensor.size < 0 else str(tensor.size)
        lines.append(f"| `{tensor.name}` | {tensor.data_type.removeprefix('TYPE_')} | {size} | {tensor.meaning} |")
    return "\n".join(lines) + "\n"
