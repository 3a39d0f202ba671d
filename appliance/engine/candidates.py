"""The likeliest tokens of each row, as a device computed them, and what may be concluded from them alone.

Whatever is answered here is what the whole row would have answered. Where that cannot be shown, None is answered and
the caller looks at the whole row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.inference.events import TokenLogprob
from appliance.inference.sampling import SamplingParams

Weights = NDArray[np.float64]
# How far two sums of a row's probabilities may be apart that were rounded in different ways, as a share: a normaliser
# below 100 has float32 steps of 8e-6 at most, and sums of 10^6 float32 terms, in a tree, err by less.
_ROUNDING = 3e-5


@dataclass(frozen=True)
class Shortlist:
    """The likeliest tokens of one row.

    Attributes:
        values: their logits, float32, descending.
        ids: the tokens; of equal logits the lesser id comes first.
        sure: so many of them are the row's likeliest in this very order. The rest may have equals that are not listed.
        log_normaliser: logarithm of the sum of the exponentials of all logits of the row.
        tokens: how many tokens the row has.
    """

    values: NDArray[np.float32]
    ids: NDArray[np.int64]
    sure: int
    log_normaliser: float
    tokens: int

    def kept(self, params: SamplingParams) -> tuple[NDArray[np.int64], Weights] | None:
        """Return the tokens that min_p, top_k and top_p keep, descending, and their cumulative weights.

        None where they may reach beyond the list. The weights are unnormalised: the likeliest token has 1.
        """
        limit = self._limit(params)
        # Of a limited set that is not all listed, the mass is not known; of the whole row, where nothing limits, it is.
        if not self.sure or (params.top_p == 1.0 if limit == self.tokens else limit > self.sure):
            return None
        cumulative = np.cumsum(weights(self.values[: min(limit, self.sure)], params.temperature))
        kept: int | None = limit
        if limit == self.tokens:
            kept = self._nucleus(cumulative, params)
        elif params.top_p < 1.0:
            kept = int(np.searchsorted(cumulative, params.top_p * float(cumulative[-1]))) + 1
        return None if kept is None else (self.ids[:kept], cumulative[:kept])

    def logprob(self, token: int, wanted: int) -> TokenLogprob:
        """The log-probability of a token of the list, and of the `wanted` likeliest ones: `sure` of them at most."""
        (place,) = np.flatnonzero(self.ids == token)
        pairs = zip(self.ids[:wanted], self.values[:wanted], strict=True)
        top = tuple((int(i), float(value) - self.log_normaliser) for i, value in pairs)
        return TokenLogprob(token, float(self.values[place]) - self.log_normaliser, top)

    def _limit(self, params: SamplingParams) -> int:
        """How many tokens min_p and top_k leave: exactly, where it is as many as are sure or fewer."""
        limit = self.tokens
        if params.min_p > 0.0:
            least = self.values.max() + params.temperature * np.log(params.min_p)
            limit = int(np.count_nonzero(self.values >= least))
            if limit == self.values.size < self.tokens:
                # Others that are not listed may be likely enough too.
                limit = self.tokens - 1
        return min(limit, params.top_k) if params.top_k else limit

    def _nucleus(self, cumulative: Weights, params: SamplingParams) -> int | None:
        """How many tokens top_p keeps of the whole row: sure only when both bounds of its mass say the same."""
        least, most = (
            int(np.searchsorted(cumulative, params.top_p * mass)) + 1 for mass in self._mass(params.temperature)
        )
        return most if least == most <= cumulative.size else None

    def _mass(self, temperature: float) -> tuple[float, float]:
        """Bounds of the sum of all the row's weights at a temperature.

        Those of the list are known. The others weigh together, at temperature 1, what the normaliser leaves, and each
        at most as much as the last one listed, whose logit is `last` from the greatest. A weight at temperature t is
        one at temperature 1 times exp(logit * (1 / t - 1)). Below 1 that factor is the last one's at most. Above 1 it
        is 1 at least, and the sum of n powers 1 / t is greatest when all are equal.
        """
        top, last = float(self.values[0]), float(self.values[-1]) - float(self.values[0])
        listed, everything = float(weights(self.values, 1.0).sum()), math.exp(self.log_normaliser - top)
        left = max(0.0, everything * (1 - _ROUNDING) - listed), max(0.0, everything * (1 + _ROUNDING) - listed)
        others = self.tokens - self.values.size
        if others <= 0:
            least = most = 0.0
        elif temperature <= 1.0:
            least, most = left[0] if temperature == 1.0 else 0.0, left[1] * math.exp(last * (1 / temperature - 1))
        else:
            even = (left[1] / others) ** (1 / temperature)
            least, most = left[0], others * min(even, math.exp(last / temperature))
        here = float(weights(self.values, temperature).sum())
        return (here + least) * (1 - _ROUNDING), (here + most) * (1 + _ROUNDING)


@dataclass(frozen=True)
class Candidates:
    """The likeliest tokens of several rows.

    Attributes:
        logits: [rows, count] float32, each row descending.
        ids: [rows, count] int64, the tokens; equal logits in any order.
        log_normaliser: [rows] float32, logarithm of the sum of the exponentials of all tokens' logits; no finite number
            where a logit is none.
        tokens: how many tokens a whole row has.
    """

    logits: NDArray[np.float32]
    ids: NDArray[np.int64]
    log_normaliser: NDArray[np.float32]
    tokens: int

    def usable(self) -> list[bool]:
        """Whether each row's logits are numbers."""
        return [bool(sound) for sound in np.isfinite(self.log_normaliser)]

    def likeliest(self) -> list[int | None]:
        """The likeliest token of each row, of equal ones the one with the least id; None where that is not sure."""
        best = np.where(self.logits == self.logits[:, :1], self.ids, self.tokens).min(axis=1)
        whole = self.logits.shape[1] >= self.tokens
        sure = (self.logits[:, -1] < self.logits[:, 0]) | whole
        return [int(token) if certain else None for token, certain in zip(best, sure, strict=True)]

    def shortlist(self, row: int) -> Shortlist:
        """One row's candidates, equal ones in order of id."""
        order = np.lexsort((self.ids[row], -self.logits[row]))
        values = self.logits[row][order]
        whole = values.size >= self.tokens
        sure = values.size if whole else int(np.count_nonzero(values > values[-1]))
        return Shortlist(values, self.ids[row][order], sure, float(self.log_normaliser[row]), self.tokens)


def weights(values: NDArray[np.float32], temperature: float) -> Weights:
    """Unnormalised probabilities of tokens with these logits, of which the first is the greatest of the whole row."""
    exact = values.astype(np.float64)
    result: Weights = np.exp((exact - exact[0]) / temperature)
    return result
