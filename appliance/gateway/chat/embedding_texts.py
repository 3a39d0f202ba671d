"""The texts of a request for embeddings as tokens, and the vectors of the answer as numbers."""

from __future__ import annotations

import array
import math
import struct
import sys
from collections.abc import Sequence

from appliance.errors import PromptTooLongError, RequestError
from appliance.gateway.chat.embedding_model import EmbeddingModel

# OpenAI's limits.
MAX_TEXTS = 2048
MAX_TOKENS = 300_000


async def tokens_of(
    model: EmbeddingModel,
    given: Sequence[str | Sequence[int]],
    param: str,
    *,
    is_list: bool,
    purpose: str = "",
    cut: int | None = None,
) -> list[list[int]]:
    """Return the tokens of each text.

    Args:
        model: the model.
        given: the texts, or their tokens.
        param: the client's name of the texts.
        is_list: the client sent a list, so that an error names the text's place in it.
        purpose: see `EmbeddingModel.tokens`.
        cut: see `EmbeddingModel.tokens`.

    Raises:
        RequestError: there is no text, or there are too many; or see `EmbeddingModel.tokens`.
        PromptTooLongError: the texts have too many tokens together; or see `EmbeddingModel.tokens`.
    """
    if not given:
        raise RequestError(f"{param} is empty", param=param)
    if len(given) > MAX_TEXTS:
        raise RequestError(
            f"{param} has {len(given)} texts; the limit is {MAX_TEXTS}", hint="send several requests", param=param
        )
    texts, total = [], 0
    for place, one in enumerate(given):
        ids = await model.tokens(one, f"{param}[{place}]" if is_list else param, purpose=purpose, cut=cut)
        total += len(ids)
        if total > MAX_TOKENS:
            raise PromptTooLongError(
                f"{param} has more than {MAX_TOKENS} tokens together", hint="send several requests", param=param
            )
        texts.append(ids)
    return texts


def check_dimensions(model: EmbeddingModel, wanted: int | None) -> None:
    """Check that the model's vectors may have the number of dimensions that a client wants.

    Raises:
        RequestError: they may not.
    """
    most, least = model.task.dimensions, model.task.least_dimensions
    if wanted is None or wanted == most or (least is not None and least <= wanted < most):
        return
    can = "cannot be shortened" if least is None else f"can be shortened to {least} or more"
    raise RequestError(
        f"dimensions {wanted} is not supported: the vectors of {model.name} have {most} dimensions, and {can}",
        param="dimensions",
    )


def vectors_of(model: EmbeddingModel, content: bytes, dimensions: int | None) -> list[bytes]:
    """The vector of each text, float32, little-endian, from those of all texts.

    Args:
        model: the model.
        content: the vectors of all texts.
        dimensions: the first dimensions that the client wants; None: all. A shortened vector has the length 1 again if
            the model's vectors have it.
    """
    size = 4 * model.task.dimensions
    vectors = [content[start : start + size] for start in range(0, len(content), size)]
    if dimensions is None or dimensions == model.task.dimensions:
        return vectors
    return [_shortened(vector, dimensions, is_normalised=model.task.normalised) for vector in vectors]


def numbers_of(vector: bytes) -> list[float]:
    """The numbers of a vector."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _shortened(vector: bytes, dimensions: int, *, is_normalised: bool) -> bytes:
    numbers = numbers_of(vector)[:dimensions]
    if is_normalised:
        length = math.hypot(*numbers) or 1.0
        numbers = [number / length for number in numbers]
    return struct.pack(f"<{len(numbers)}f", *numbers)
