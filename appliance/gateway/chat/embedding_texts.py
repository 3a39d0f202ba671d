"""The texts of a request for embeddings as tokens, and the vectors of the answer as numbers."""

from __future__ import annotations

import array
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


def check_dimensions(model: EmbeddingModel, dimensions: int | None) -> None:
    """Check the number of dimensions that a client wants.

    Raises:
        RequestError: the model has another number.
    """
    if dimensions not in {None, model.task.dimensions}:
        raise RequestError(
            f"dimensions {dimensions} is not supported: the vectors of {model.name} have {model.task.dimensions}"
            " dimensions, and cannot be shortened",
            param="dimensions",
        )


def vectors_of(model: EmbeddingModel, content: bytes) -> list[bytes]:
    """The vector of each text, float32, little-endian, from those of all texts."""
    size = 4 * model.task.dimensions
    return [content[start : start + size] for start in range(0, len(content), size)]


def numbers_of(vector: bytes) -> list[float]:
    """The numbers of a vector."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
