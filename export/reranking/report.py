"""The quality report of a reranker: the difference of each pair's logit from that of the reference."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from appliance.artefact.manifest import Reranking
from appliance.errors import IntegrityError, QualityError
from export.quality.text_set import MAX_TOKENS_PER_TEXT, PROMPTS, load_texts

# The export fails above this difference of a logit, as a share of the reference's logit, or of 1 if that is smaller.
MAX_DIFFERENCE = 0.01
_DIGITS = 9


@dataclass(frozen=True)
class Material:
    """The pairs to measure: each text of the quality reports' text set, with one of its prompts as the query.

    Attributes:
        names: the name of each pair.
        texts: token ids of each pair with the special tokens, truncated to the limits of model and measurement.
        first_lengths: the number of tokens before the second text of each pair.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[int, ...], ...]
    first_lengths: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, task: Reranking) -> Material:
        """Tokenise the pairs for a model with these settings."""
        room = min(MAX_TOKENS_PER_TEXT, task.max_tokens) - task.special_tokens
        names, pairs, first_lengths = [], [], []
        for index, text in enumerate(load_texts()):
            number = index % len(PROMPTS)
            query, document = (
                tokenizer.encode(each, add_special_tokens=False).ids for each in (PROMPTS[number], text.content)
            )
            query = query[: max(1, room // 2)]
            begin = [*task.first_token_ids, *query, *task.middle_token_ids]
            names.append(f"prompt-{number + 1}, {text.name}")
            pairs.append((*begin, *document[: room - len(query)], *task.last_token_ids))
            first_lengths.append(len(begin))
        return cls(tuple(names), tuple(pairs), tuple(first_lengths))


@dataclass(frozen=True)
class Report:
    """The figures of one export.

    Attributes:
        candidate: description of what was measured.
        reference: description of what it was compared with.
        tokens: number of tokens of all pairs.
        logits: by the pair's name, the reference's logit.
        differences: by the pair's name, the difference of the logits; see MAX_DIFFERENCE.
    """

    candidate: str
    reference: str
    tokens: int
    logits: dict[str, float]
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
        """Compare logits, [pairs, 1]."""
        differences = np.abs(found.astype(np.float64) - expected) / np.maximum(1, np.abs(expected))
        by_name = [
            {name: round(value, _DIGITS) for name, (value,) in zip(material.names, values.tolist(), strict=True)}
            for values in (expected, differences)
        ]
        return cls(candidate, reference, sum(map(len, material.texts)), *by_name)

    @property
    def is_kept(self) -> bool:
        """Whether every logit is close enough to the reference; not a number is not."""
        return all(difference <= MAX_DIFFERENCE for difference in self.differences.values())

    def summary(self) -> dict[str, Any]:
        """The figures for the manifest."""
        differences = self.differences.values()
        return {
            # A value that is not a number is worse than every number.
            "largest_difference": max(differences, key=lambda value: (math.isnan(value), value)),
            "max_difference": MAX_DIFFERENCE,
            "pairs": len(self.differences),
            "reference": self.reference,
            "tokens": self.tokens,
        }

    def to_bytes(self) -> bytes:
        """The report as JSON; equal figures give equal bytes."""
        document = {
            "candidate": self.candidate,
            "reference": self.reference,
            "method": (
                "The graph computes all pairs in one padded batch, the reference each pair alone. largest_difference "
                "is the largest difference of both logits of a pair, as a share of the reference's logit, or of 1 if "
                "that is smaller."
            ),
            "tolerance": {"kept": self.is_kept, "max_difference": MAX_DIFFERENCE},
            "figures": self.summary(),
            "pairs": {
                name: {"logit": logit, "difference": self.differences[name]} for name, logit in self.logits.items()
            },
        }
        return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def check_report(content: bytes, where: str) -> dict[str, Any]:
    """Return the figures for the manifest from a report's bytes.

    Args:
        content: output of `Report.to_bytes`.
        where: the report's path, for the message.

    Raises:
        QualityError: a logit differs too much from the reference's, or is not finite.
        IntegrityError: the content is not a report.
    """
    try:
        document = json.loads(content)
        figures: dict[str, Any] = document["figures"]
        kept, largest = document["tolerance"]["kept"], figures["largest_difference"]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{where} is not a quality report: {error}") from error
    if kept is not True:
        raise QualityError(
            f"the largest difference between a logit of the export and of the reference is {largest}; allowed is at "
            f"most {MAX_DIFFERENCE}",
            hint=f"nothing was installed; the report is {where}; check the checkpoint's files",
        )
    return figures
