"""The quality report: measures a candidate against a reference, and describes exactly what was compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.errors import IntegrityError, QualityError
from export.quality.graph_runner import GraphRunner
from export.quality.magnitudes import FLOAT16_MAX, Magnitudes
from export.quality.measure import Figures, common_prefix, log_probabilities
from export.quality.reading import Material, read_texts
from export.quality.reference import Reference
from export.quality.text_set import GREEDY_TOKENS, PROMPTS, load_texts

REPORT = "report.json"
_DIGITS = 6

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """The figures of one export.

    Attributes:
        candidate: description of what was measured.
        reference: description of what it was compared with.
        max_mean_kl: the preset's tolerance.
        figures: the figures of each text.
        greedy: for each prompt, the number of greedy tokens before the first difference.
        measured: description of the method, if the artefact's own graph did not run.
        magnitudes: the reference's magnitudes, for an artefact that computes in float16.
    """

    candidate: str
    reference: str
    max_mean_kl: float
    figures: tuple[Figures, ...]
    greedy: tuple[int, ...]
    measured: str = ""
    magnitudes: Magnitudes | None = None

    @property
    def total(self) -> Figures:
        """The figures over all texts."""
        return Figures.sum(self.figures)

    @property
    def greedy_agreement(self) -> float:
        """Mean share of a greedy continuation before the first difference."""
        return sum(self.greedy) / (GREEDY_TOKENS * len(self.greedy))

    def summary(self) -> dict[str, Any]:
        """The figures for the manifest."""
        figures = {
            **_document(self.total),
            "greedy_agreement": round(self.greedy_agreement, _DIGITS),
            "max_mean_kl": self.max_mean_kl,
            "reference": self.reference,
        }
        if self.measured:
            figures["measured"] = self.measured
        if self.magnitudes:
            figures["greatest_magnitude"] = self.magnitudes.worst[1]
        return figures

    def to_bytes(self) -> bytes:
        """The report as JSON; equal figures give equal bytes."""
        texts = load_texts()
        kinds: dict[str, list[Figures]] = {}
        for text, figures in zip(texts, self.figures, strict=True):
            kinds.setdefault(text.kind, []).append(figures)
        document: dict[str, Any] = {
            "candidate": self.candidate,
            "reference": self.reference,
            "method": (
                "Both read each text once from its beginning and predict every next token. mean_kl is "
                "KL(reference || candidate) in nats a token over the tokenizer's words; top1_agreement is the share of "
                "positions at which both rank the same token first; greedy_agreement is the mean share of "
                f"{GREEDY_TOKENS} greedy tokens before the first that differs."
            ),
            "tolerance": {"max_mean_kl": self.max_mean_kl, "kept": self.is_kept},
            "figures": self.summary(),
            "kinds": {kind: _document(Figures.sum(parts)) for kind, parts in kinds.items()},
            "texts": {text.name: _document(figures) for text, figures in zip(texts, self.figures, strict=True)},
            "greedy": [
                {"prompt": prompt, "agreed": agreed, "tokens": GREEDY_TOKENS}
                for prompt, agreed in zip(PROMPTS, self.greedy, strict=True)
            ],
        }
        if self.magnitudes:
            document["float16"] = self.magnitudes.document()
        return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @property
    def is_kept(self) -> bool:
        """Whether the result is within the preset's tolerance."""
        return self.total.mean_kl <= self.max_mean_kl


def measure(
    runner: GraphRunner, reference: Reference, material: Material, progress: Progress
) -> tuple[tuple[Figures, ...], tuple[int, ...]]:
    """Read all texts and continue all prompts with the candidate.

    Returns:
        The figures of each text, and for each prompt the number of greedy tokens that agree.
    """
    figures = [Figures() for _ in material.texts]
    for chunk in read_texts(runner, material.texts):
        compared = Figures.of(reference.expected(chunk.rows), log_probabilities(chunk.logits), chunk.following)
        figures[chunk.text] = Figures.sum([figures[chunk.text], compared])
        progress(chunk.text + 1, material.parts)
    greedy = runner.greedy(material.prompts, GREEDY_TOKENS)
    progress(material.parts, material.parts)
    return tuple(figures), tuple(map(common_prefix, reference.greedy, greedy))


def check_report(content: bytes, where: str) -> dict[str, Any]:
    """Return the figures for the manifest from a report's bytes.

    Args:
        content: output of `Report.to_bytes`.
        where: the report's path, for the message.

    Raises:
        QualityError: the preset's tolerance was missed, or the model's values exceed the range of float16.
        IntegrityError: the content is not a report.
    """
    try:
        document = json.loads(content)
        figures: dict[str, Any] = document["figures"]
        kept = document["tolerance"]["kept"]
        float16 = document.get("float16")
        overflow = None if float16 is None or float16["kept"] is True else float16["greatest"]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{where} is not a quality report: {error}") from error
    if overflow is not None:
        raise QualityError(
            f"{overflow['tensor']} reaches {overflow['magnitude']:,.0f}; the largest float16 value is "
            f"{FLOAT16_MAX:,.0f}, and half of it is the limit",
            hint=f"nothing was installed; the report is {where}; use a bfloat16 preset",
        )
    endless = [name for name, value in figures.items() if isinstance(value, float) and not math.isfinite(value)]
    if kept is True and endless:
        raise QualityError(
            f"the export's {endless[0]} is {figures[endless[0]]}: the checkpoint's weights are invalid",
            hint=f"nothing was installed; the report is {where}; check the checkpoint's files",
        )
    if kept is not True:
        raise QualityError(
            f"the export's mean KL divergence is {figures['mean_kl']}, but the preset allows at most "
            f"{figures['max_mean_kl']}",
            hint=f"nothing was installed; the report is {where}; use another preset",
        )
    return figures


def _document(figures: Figures) -> dict[str, Any]:
    return {
        "tokens": figures.tokens,
        "mean_kl": round(figures.mean_kl, _DIGITS),
        "top1_agreement": round(figures.top1_agreement, _DIGITS),
        "perplexity": round(figures.perplexity, _DIGITS - 2),
        "reference_perplexity": round(figures.reference_perplexity, _DIGITS - 2),
    }
