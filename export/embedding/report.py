"""The quality report of an embedding model: the cosine of each text's vector with that of the reference."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from appliance.errors import IntegrityError, QualityError
from export.quality.text_set import MAX_TOKENS_PER_TEXT, PROMPTS, load_texts

# The export fails below this cosine, or above this difference as a share of the vector's length: without it, vectors
# that are not normalised could have any length.
MIN_COSINE = 0.999
MAX_DIFFERENCE = 0.05
_DIGITS = 9


@dataclass(frozen=True)
class Material:
    """The texts to measure: the text set of the quality reports, and its short prompts.

    Attributes:
        names: the name of each text.
        texts: token ids of each text with the special tokens, truncated to the limits of model and measurement.
        first_lengths: empty, because the texts are no pairs.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[int, ...], ...]
    first_lengths: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokenizer: Tokenizer, max_tokens: int) -> Material:
        """Tokenise the texts for a model with this limit."""
        named = {text.name: text.content for text in load_texts()}
        named |= {f"prompt-{index}": prompt for index, prompt in enumerate(PROMPTS, start=1)}
        tokenizer.enable_truncation(min(MAX_TOKENS_PER_TEXT, max_tokens))
        ids = tuple(tuple(tokenizer.encode(text).ids) for text in named.values())
        tokenizer.no_truncation()
        return cls(tuple(named), ids)


@dataclass(frozen=True)
class Report:
    """The figures of one export.

    Attributes:
        candidate: description of what was measured.
        reference: description of what it was compared with.
        tokens: number of tokens of all texts.
        cosines: by the text's name, the cosine of both vectors.
        differences: by the text's name, the length of the difference as a share of the reference's length.
    """

    candidate: str
    reference: str
    tokens: int
    cosines: dict[str, float]
    differences: dict[str, float]

    @classmethod
    def of(
        cls,
        candidate: str,
        reference: str,
        material: Material,
        found: npt.NDArray[np.float32],
        expected: npt.NDArray[np.float64],
    ) -> Report:
        """Compare vectors, [texts, dimensions]."""
        wide = found.astype(np.float64)
        lengths = np.linalg.norm(expected, axis=1)
        cosines = (wide * expected).sum(1) / (np.linalg.norm(wide, axis=1) * lengths)
        differences = np.linalg.norm(wide - expected, axis=1) / lengths
        return cls(
            candidate=candidate,
            reference=reference,
            tokens=sum(map(len, material.texts)),
            cosines=_by_name(material.names, cosines.tolist()),
            differences=_by_name(material.names, differences.tolist()),
        )

    @property
    def is_kept(self) -> bool:
        """Whether every vector is close enough to the reference; not a number is not."""
        return all(cosine >= MIN_COSINE for cosine in self.cosines.values()) and all(
            difference <= MAX_DIFFERENCE for difference in self.differences.values()
        )

    def summary(self) -> dict[str, Any]:
        """The figures for the manifest."""
        cosines = self.cosines.values()
        # A value that is not a number is worse than every number.
        return {
            "largest_difference": max(self.differences.values(), key=lambda value: (math.isnan(value), value)),
            "lowest_cosine": min(cosines, key=lambda value: (not math.isnan(value), value)),
            "max_difference": MAX_DIFFERENCE,
            "mean_cosine": round(sum(cosines) / len(cosines), _DIGITS),
            "min_cosine": MIN_COSINE,
            "reference": self.reference,
            "texts": len(self.cosines),
            "tokens": self.tokens,
        }

    def to_bytes(self) -> bytes:
        """The report as JSON; equal figures give equal bytes."""
        document = {
            "candidate": self.candidate,
            "reference": self.reference,
            "method": (
                "The graph computes all texts in one padded batch, the reference each text alone. lowest_cosine and "
                "mean_cosine are of the cosines of both vectors of a text; largest_difference is the length of their "
                "difference as a share of the reference's length."
            ),
            "tolerance": {"kept": self.is_kept, "max_difference": MAX_DIFFERENCE, "min_cosine": MIN_COSINE},
            "figures": self.summary(),
            "texts": {
                name: {"cosine": cosine, "difference": self.differences[name]} for name, cosine in self.cosines.items()
            },
        }
        return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def check_report(content: bytes, where: str) -> dict[str, Any]:
    """Return the figures for the manifest from a report's bytes.

    Args:
        content: output of `Report.to_bytes`.
        where: the report's path, for the message.

    Raises:
        QualityError: a vector differs too much from the reference's, or is not finite.
        IntegrityError: the content is not a report.
    """
    try:
        document = json.loads(content)
        figures: dict[str, Any] = document["figures"]
        kept, lowest, largest = document["tolerance"]["kept"], figures["lowest_cosine"], figures["largest_difference"]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{where} is not a quality report: {error}") from error
    if kept is not True:
        raise QualityError(
            f"the export's lowest cosine with the reference is {lowest} and its largest difference is {largest}; "
            f"allowed are at least {MIN_COSINE} and at most {MAX_DIFFERENCE}",
            hint=f"nothing was installed; the report is {where}; check the checkpoint's files",
        )
    return figures


def _by_name(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in zip(names, values, strict=True)}
