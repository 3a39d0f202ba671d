"""What an encoder computes: a BERT stack with absolute positions, and how token states become a vector or a logit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Encoder:
    """A bidirectional transformer with a norm after each residual connection, and GELU feed-forwards.

    Attributes:
        name: the architecture's name ("bert", "xlm-roberta").
        hidden: width of the token states, which is also the number of dimensions of an embedding.
        heads: attention heads.
        inner: width of the feed-forward.
        layers: number of layers.
        vocabulary: rows of the embedding.
        positions: rows of the table of positions.
        first_position: the row of a text's first token: 0 in BERT, the padding's id plus 1 in RoBERTa.
        token_types: rows of the table of token types. A text alone has type 0.
        norm_epsilon: added to the variance in each norm.
        prefix: what the names of its tensors begin with in the checkpoint.
    """

    name: str
    hidden: int
    heads: int
    inner: int
    layers: int
    vocabulary: int
    positions: int
    first_position: int
    token_types: int
    norm_epsilon: float
    prefix: str = ""

    @property
    def most_tokens(self) -> int:
        """The longest text, in tokens, that has positions."""
        return self.positions - self.first_position

    def layer(self, index: int) -> str:
        """The prefix of a layer's tensors, after that of the encoder."""
        return f"encoder.layer.{index}"

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor, with the names of the checkpoint."""
        for name, shape in self._tensors():
            yield f"{self.prefix}{name}", shape

    def _tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield "embeddings.word_embeddings.weight", (self.vocabulary, self.hidden)
        yield "embeddings.position_embeddings.weight", (self.positions, self.hidden)
        yield "embeddings.token_type_embeddings.weight", (self.token_types, self.hidden)
        yield from _norm("embeddings.LayerNorm", self.hidden)
        for index in range(self.layers):
            prefix = self.layer(index)
            for part in ("query", "key", "value"):
                yield from _dense(f"{prefix}.attention.self.{part}", self.hidden, self.hidden)
            yield from _dense(f"{prefix}.attention.output.dense", self.hidden, self.hidden)
            yield from _norm(f"{prefix}.attention.output.LayerNorm", self.hidden)
            yield from _dense(f"{prefix}.intermediate.dense", self.inner, self.hidden)
            yield from _dense(f"{prefix}.output.dense", self.hidden, self.inner)
            yield from _norm(f"{prefix}.output.LayerNorm", self.hidden)


@dataclass(frozen=True)
class Pooling:
    """How the states of a text's tokens become its embedding.

    Attributes:
        mode: MEAN of all tokens, or the state of the first one (CLS) or the last one (LAST), as in a manifest.
        normalise: whether the embedding has the length 1.
    """

    mode: str
    normalise: bool


@dataclass(frozen=True)
class Head:
    """How the state of a pair's first token becomes its logit: a dense layer with tanh, then a product with one row.

    Attributes:
        dense: name of the dense layer in the checkpoint.
        output: name of the row.
    """

    dense: str
    output: str

    def tensors(self, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor, for token states of this width."""
        yield from _dense(self.dense, hidden, hidden)
        yield from _dense(self.output, 1, hidden)


def _dense(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)
