"""The likeliest tokens of each row, computed by a device, and the results that follow from these tokens alone.

Each result equals the result from the whole row. If this module cannot prove that, it returns None, and the caller
reads the whole row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.inference.events import TokenLogprob
from appliance.inference.sampling import SamplingParams

Weights = NDArray[np.float64]
# Maximum relative difference between two sums of a row's probabilities that were rounded differently. A normaliser
# below 100 has float32 steps of at most 8e-6; a tree sum of 10^6 float32 terms has a smaller error.
_ROUNDING = 3e-5


@dataclass(frozen=True)
class Shortlist:
    """The likeliest tokens of one row.

    Attributes:
        values: logits of the tokens, float32, descending.
        ids: ids of the tokens; among equal logits, the smallest id comes first.
        sure: the first `sure` tokens are certainly the row's likeliest, in this order. The logits of the remaining
            tokens may equal those of tokens that are not listed.
        log_normaliser: logarithm of the sum of the exponentials of all logits of the row.
        tokens: number of tokens in the row.
    """

    values: NDArray[np.float32]
    ids: NDArray[np.int64]
    sure: int
    log_normaliser: float
    tokens: int

    def kept(self, params: SamplingParams) -> tuple[NDArray[np.int64], Weights] | None:
        """Return the tokens that min_p, top_k and top_p keep, descending, and their cumulative weights.

        Return None if tokens beyond the list may be kept. The weights are unnormalised: the likeliest token has 1.
        """
        limit = self._limit(params)
        # The mass of the whole row is known. The mass of a limited set is known only if the whole set is listed.
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
        """The log-probability of a listed token, and of the `wanted` likeliest tokens; `wanted` is at most `sure`."""
        (place,) = np.flatnonzero(self.ids == token)
        return TokenLogprob(token, float(self.values[place]) - self.log_normaliser, self.likeliest(wanted))

    def likeliest(self, wanted: int) -> tuple[tuple[int, float], ...]:
        """The `wanted` likeliest tokens and their log-probabilities; `wanted` is at most `sure`."""
        pairs = zip(self.ids[:wanted], self.values[:wanted], strict=True)
        return tuple((int(i), float(value) - self.log_normaliser) for i, value in pairs)

    def _limit(self, params: SamplingParams) -> int:
        """The number of tokens that min_p and top_k keep. It is exact if it is at most `sure`."""
        limit = self.tokens
        if params.min_p > 0.0:
            least = self.values.max() + params.temperature * np.log(params.min_p)
            limit = int(np.count_nonzero(self.values >= least))
            if limit == self.values.size < self.tokens:
                # Tokens that are not listed may reach min_p too.
                limit = self.tokens - 1
        return min(limit, params.top_k) if params.top_k else limit

    def _nucleus(self, cumulative: Weights, params: SamplingParams) -> int | None:
        """The number of tokens of the whole row that top_p keeps; None if the bounds of the mass leave it uncertain."""
        least, most = (
            int(np.searchsorted(cumulative, params.top_p * mass)) + 1 for mass in self._mass(params.temperature)
        )
        return most if least == most <= cumulative.size else None

    def _mass(self, temperature: float) -> tuple[float, float]:
        """Bounds of the sum of all the row's weights at a temperature.

        The weights of the listed tokens are known. At temperature 1, the unlisted weights sum to the normaliser minus
        the listed weights, and none exceeds the weight of the last listed token, whose logit is `last` relative to
        the greatest. A weight at temperature t is the weight at temperature 1 times exp(logit * (1 / t - 1)). For t
        below 1, this factor is at most that of the last listed token. For t above 1, it is at least 1, and the sum of
        n powers 1 / t is greatest when all weights are equal.
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
        ids: [rows, count] int64, the tokens; tokens with equal logits in any order.
        log_normaliser: [rows] float32, logarithm of the sum of the exponentials of all tokens' logits; not finite
            if a logit is not finite.
        tokens: number of tokens in a whole row.
    """

    logits: NDArray[np.float32]
    ids: NDArray[np.int64]
    log_normaliser: NDArray[np.float32]
    tokens: int

    def usable(self) -> list[bool]:
        """For each row, whether its logits are finite."""
        return [bool(sound) for sound in np.isfinite(self.log_normaliser)]

    def likeliest(self) -> list[int | None]:
        """The likeliest token of each row, the smallest id among equal logits; None where it is not certain."""
        best = np.where(self.logits == self.logits[:, :1], self.ids, self.tokens).min(axis=1)
        whole = self.logits.shape[1] >= self.tokens
        sure = (self.logits[:, -1] < self.logits[:, 0]) | whole
        return [int(token) if certain else None for token, certain in zip(best, sure, strict=True)]

    def shortlist(self, row: int) -> Shortlist:
        """The candidates of one row; tokens with equal logits are in order of id."""
        order = np.lexsort((self.ids[row], -self.logits[row]))
        values = self.logits[row][order]
        whole = values.size >= self.tokens
        sure = values.size if whole else int(np.count_nonzero(values > values[-1]))
        return Shortlist(values, self.ids[row][order], sure, float(self.log_normaliser[row]), self.tokens)


def weights(values: NDArray[np.float32], temperature: float) -> Weights:
    """Unnormalised probabilities of these logits; the first logit must be the greatest of the whole row."""
    exact = values.astype(np.float64)
    result: Weights = np.exp((exact - exact[0]) / temperature)
    return result
