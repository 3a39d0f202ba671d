"""Compares a TensorRT plan's logits with the unquantised checkpoint's: the texts, the reference, the divergence.

This is a smoke test of the plan that TensorRT built on this box. The export measured the quality of the preset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.engine.exactness import align_down
from appliance.engine.runner import Runner
from appliance.errors import IntegrityError, QualityError

Floats = NDArray[np.float64]
PARITY = "parity.json"
# Minimum of the allowed divergence: the kernels' rounding adds to that of a preset with a smaller limit.
LEAST_ALLOWED_KL = 0.02
# Version of the file's format.
FORMAT = 1
# Minimum probability of all unlisted tokens together, where rounding would leave none.
_SMALLEST = 1e-9


@dataclass(frozen=True)
class ParityCase:
    """A text, of which the first part is read as a prompt and the rest token by token.

    Attributes:
        tokens: the token ids of the text.
        prompt_tokens: number of tokens in the prompt.
        likeliest: int64 [rows, count], the reference's likeliest tokens after the prompt and after each further token.
        log_probabilities: float32 [rows, count], the reference's log-probabilities of these tokens.
    """

    tokens: tuple[int, ...]
    prompt_tokens: int
    likeliest: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]

    def cut(self, most_tokens: int) -> ParityCase:
        """The first `most_tokens` tokens of the text; they must include the whole prompt."""
        rows = most_tokens - self.prompt_tokens + 1
        return ParityCase(
            self.tokens[:most_tokens], self.prompt_tokens, self.likeliest[:rows], self.log_probabilities[:rows]
        )


@dataclass(frozen=True)
class Parity:
    """The difference between answers and the reference.

    Attributes:
        mean_kl: mean KL divergence of the answers from the reference, in nats per row. The reference's likeliest
            tokens count separately, all other tokens as one, so the value is at most the full divergence.
        worst_kl: KL divergence of the worst row.
        top1_agreement: share of the rows whose likeliest token equals the reference's.
        rows: number of rows.
    """

    mean_kl: float
    worst_kl: float
    top1_agreement: float
    rows: int

    @property
    def figures(self) -> Mapping[str, float]:
        """The rounded values for the record of a plan."""
        return {
            "mean_kl": round(self.mean_kl, 6),
            "worst_kl": round(self.worst_kl, 6),
            "top1_agreement": round(self.top1_agreement, 4),
            "rows": self.rows,
        }

    def check(self, allowed_kl: float) -> None:
        """Raise QualityError if the mean divergence exceeds `allowed_kl` or is not a number."""
        if not self.mean_kl <= allowed_kl:
            raise QualityError(
                f"the TensorRT plan differs from the model: its mean KL divergence from the reference is "
                f"{self.mean_kl:.4f} over {self.rows} rows, but at most {allowed_kl:g} is allowed",
                hint="the plan is not used; report it with the versions of TensorRT and of the driver",
            )


def allowed_kl(max_mean_kl: float) -> float:
    """The allowed mean divergence of a preset: twice the export's limit, because there are only a few rows."""
    return max(LEAST_ALLOWED_KL, 2 * max_mean_kl)


def to_bytes(cases: Iterable[ParityCase]) -> bytes:
    """The cases as JSON; equal cases give equal bytes."""
    values = [
        {
            "tokens": list(case.tokens),
            "prompt_tokens": case.prompt_tokens,
            "likeliest": case.likeliest.tolist(),
            "log_probabilities": [[round(float(value), 5) for value in row] for row in case.log_probabilities],
        }
        for case in cases
    ]
    return (json.dumps({"format": FORMAT, "cases": values}, separators=(",", ":")) + "\n").encode()


def from_bytes(content: bytes) -> tuple[ParityCase, ...]:
    """Parse the output of `to_bytes`.

    Raises:
        IntegrityError: the content is not in this format.
    """
    try:
        document = json.loads(content)
        cases = tuple(
            ParityCase(
                tuple(int(token) for token in case["tokens"]),
                int(case["prompt_tokens"]),
                np.array(case["likeliest"], np.int64),
                np.array(case["log_probabilities"], np.float32),
            )
            for case in document["cases"]
        )
        is_known = document["format"] == FORMAT and bool(cases) and all(map(_is_whole, cases))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{PARITY} cannot be read: {error}", hint="export the model again") from error
    if not is_known:
        raise IntegrityError(f"{PARITY} has a format that this version does not read", hint="export the model again")
    return cases


def answers(runner: Runner, cases: Sequence[ParityCase]) -> list[NDArray[np.float32]]:
    """Run all cases in one batch, as the engine does. Return the logits of each case, [rows, vocabulary].

    A prompt is computed in two chunks if it is long enough, and each further token in a batch of all cases.

    Args:
        runner: has a slot for each case, long enough for its text.
        cases: all cases have the same number of tokens after the prompt.

    Raises:
        EngineError: the runner failed.
    """
    rows = []
    for slot, case in enumerate(cases):
        edge = align_down(case.prompt_tokens // 2)
        if edge:
            runner.prefill(slot, 0, case.tokens[:edge])
        logits = runner.prefill(slot, edge, case.tokens[edge : case.prompt_tokens])
        rows.append([logits.rows([0])[0].copy()])
    for step in range(len(cases[0].tokens) - cases[0].prompt_tokens):
        lengths = [case.prompt_tokens + step for case in cases]
        tokens = [case.tokens[length] for case, length in zip(cases, lengths, strict=True)]
        logits = runner.decode(tokens, lengths)
        for slot, row in enumerate(logits.rows(range(len(cases))).copy()):
            rows[slot].append(row)
    return [np.stack(case_rows) for case_rows in rows]


def compare(cases: Sequence[ParityCase], found: Sequence[NDArray[np.float32]], tokens: int) -> Parity:
    """Compare answers with the reference.

    Args:
        cases: see ParityCase.
        found: logits of each case, float32 [rows, at least `tokens`].
        tokens: number of tokens of the tokenizer.
    """
    divergences, agreed = [], []
    with np.errstate(all="ignore"):  # a bad plan's logits may overflow or be NaN
        for case, logits in zip(cases, found, strict=True):
            own = _log_softmax(logits[:, :tokens].astype(np.float64))
            listed = np.take_along_axis(own, case.likeliest, axis=1)
            divergences.append(_divergence(case.log_probabilities.astype(np.float64), listed))
            agreed.append(own.argmax(axis=1) == case.likeliest[:, 0])
    every = np.concatenate(divergences)
    return Parity(float(every.mean()), float(every.max()), float(np.concatenate(agreed).mean()), every.size)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _divergence(expected: Floats, found: Floats) -> Floats:
    """KL(expected || found) of each row over the listed tokens, with all other tokens as one."""
    left, other = (np.clip(1 - np.exp(listed).sum(axis=1), _SMALLEST, None) for listed in (expected, found))
    result: Floats = (np.exp(expected) * (expected - found)).sum(axis=1) + left * (np.log(left) - np.log(other))
    return result


def _is_whole(case: ParityCase) -> bool:
    rows = len(case.tokens) - case.prompt_tokens + 1
    forms = (case.likeliest.shape, case.log_probabilities.shape)
    return 0 < case.prompt_tokens <= len(case.tokens) and forms[0] == forms[1] and forms[0][:1] == (rows,)
