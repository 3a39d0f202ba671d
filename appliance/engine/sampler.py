"""Chooses the next tokens of a batch from its logits. Each sequence has its own random generator.

Each truncation (min_p, top_k, top_p) keeps the first tokens in descending order of probability, so only the kept tokens
are sorted.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.engine.candidates import Candidates, Shortlist, weights
from appliance.engine.constraint import Constraint
from appliance.engine.logits import Logits
from appliance.engine.request import Request
from appliance.inference.events import TokenLogprob

Row = NDArray[np.float32]
Ids = NDArray[np.int64]
_BLOCK = 256
_GROWTH = (64, 1024, 8192, 32768)
_LEAST_TEMPERATURE = 1e-5


@dataclass(frozen=True)
class Choice:
    """A chosen token; None if the logits are not finite or the grammar allows no token."""

    token: int | None
    logprob: TokenLogprob | None = None


class SamplerState:
    """The sampling state of one sequence: random generator, grammar state, and token counts for the penalties."""

    def __init__(
        self,
        request: Request,
        end_tokens: Sequence[int],
        matcher: Constraint | None = None,
        bad_words: Sequence[Sequence[int]] = (),
    ) -> None:
        """Start a completion. `bad_words` are the tokens of each bad word."""
        self.params = request.sampling
        self.matcher = matcher
        seed = self.params.seed
        entropy = int.from_bytes(os.urandom(16), "little") if seed is None else seed & (2**64 - 1)
        self.generator = np.random.Generator(np.random.PCG64(entropy))
        self.bias_ids = np.fromiter(self.params.logit_bias.keys(), np.int64)
        self.bias = np.fromiter(self.params.logit_bias.values(), np.float32)
        self.end_ids = np.array(sorted({*end_tokens, *self.params.stop_token_ids}), np.int64)
        self.own_end_ids = np.array(sorted(end_tokens), np.int64)
        self.prompt_ids = np.unique(np.array(request.prompt_ids, np.int64)) if self.params.has_penalties else None
        allowed = self.params.allowed_token_ids
        self.allowed_ids = None if allowed is None else np.array(sorted(set(allowed)), np.int64)
        self.counts: Counter[int] = Counter()
        self._bad_words = [tuple(word) for word in bad_words]
        self._latest: deque[int] = deque(maxlen=max((len(word) - 1 for word in self._bad_words), default=0))
        self.chosen = 0

    @property
    def holds_back_ends(self) -> bool:
        """Whether end tokens are still forbidden."""
        return self.chosen < self.params.min_tokens

    @property
    def is_shaped(self) -> bool:
        """Whether anything but temperature and truncations changes the choice, or certain figures are wanted."""
        params = self.params
        excludes = self.holds_back_ends or self.allowed_ids is not None or bool(self._bad_words)
        asks = bool(params.logprob_token_ids)
        return params.has_penalties or bool(params.logit_bias) or excludes or asks or self.matcher is not None

    @property
    def is_plain(self) -> bool:
        """Whether the choice is the likeliest token of the unchanged logits."""
        return self.params.logprobs is None and not self.is_shaped and _is_greedy(self)

    def forbidden(self) -> NDArray[np.bool_] | None:
        """The tokens that the grammar forbids, [tokens]; None without a grammar.

        End tokens that min_tokens or ignore_eos exclude are forbidden too, unless no token would be left.
        """
        if self.matcher is None:
            return None
        forbidden = self.matcher.forbidden()
        unwanted = self.end_ids if self.holds_back_ends else self.own_end_ids if self.params.ignore_eos else None
        if unwanted is not None:
            before = forbidden[unwanted]
            forbidden[unwanted] = True
            if forbidden.all():
                forbidden[unwanted] = before
        return forbidden

    def excluded(self) -> list[Ids]:
        """Sets of tokens that may not come next without a grammar, the most important set first.

        The last token of a bad word is excluded after the others. End tokens are excluded before `min_tokens`.
        """
        if self.matcher is not None:
            return []
        latest = tuple(self._latest)
        bad = {word[-1] for word in self._bad_words if word[:-1] == latest[len(latest) - len(word) + 1 :]}
        sets = [np.array(sorted(bad), np.int64)] if bad else []
        return [*sets, self.end_ids] if self.holds_back_ends else sets

    def accept(self, token: int) -> None:
        """Count a token that was appended to the completion."""
        self.chosen += 1
        self._latest.append(token)
        if self.params.has_penalties:
            self.counts[token] += 1


def choose(logits: Logits, rows: Sequence[int], states: Sequence[SamplerState], tokens: int) -> list[Choice]:
    """Choose a token for each of the given rows. Read whole rows only if their likeliest tokens do not suffice.

    Args:
        logits: see Logits.
        rows: indices of the rows.
        states: one state for each row.
        tokens: logits at or beyond this column are ignored.
    """
    candidates = logits.candidates(rows)
    if candidates is None:
        return _choose_whole(logits.rows(rows)[:, :tokens], states)
    choices = _choose_among(candidates, states)
    missing = [index for index, choice in enumerate(choices) if choice is None]
    if missing:
        whole = logits.rows([rows[index] for index in missing])[:, :tokens]
        others = iter(_choose_whole(whole, [states[index] for index in missing]))
        return [choice or next(others) for choice in choices]
    return [choice for choice in choices if choice is not None]


def _choose_among(candidates: Candidates, states: Sequence[SamplerState]) -> list[Choice | None]:
    """Choose from the likeliest tokens if the whole row would give the same; else None, without a random draw."""
    choices: list[Choice | None] = []
    for row, (best, usable, state) in enumerate(zip(candidates.likeliest(), candidates.usable(), states, strict=True)):
        if state.is_shaped:
            choices.append(None)
        elif not usable:
            choices.append(Choice(None))
        elif state.is_plain:
            choices.append(None if best is None else Choice(best))
        else:
            choices.append(_choose_listed(candidates.shortlist(row), state))
    return choices


def _choose_listed(listed: Shortlist, state: SamplerState) -> Choice | None:
    wanted = state.params.logprobs
    if wanted is not None and wanted > listed.sure:
        return None
    if _is_greedy(state):
        if not listed.sure:
            return None
        token = int(listed.ids[0])
    else:
        kept = listed.kept(state.params)
        if kept is None:
            return None
        token = _invert(*kept, state.generator.random())
    return Choice(token, None if wanted is None else listed.logprob(token, wanted))


def _choose_whole(logits: NDArray[np.float32], states: Sequence[SamplerState]) -> list[Choice]:
    """Choose a token for each row of `logits` [rows, tokens]. Changes `logits`."""
    if all(state.is_plain for state in states):
        best = logits.argmax(axis=1)
        sound = np.isfinite(logits[np.arange(len(states)), best])
        return [Choice(int(token) if usable else None) for token, usable in zip(best, sound, strict=True)]
    return [_choose_one(row, state) for row, state in zip(logits, states, strict=True)]


def _choose_one(row: Row, state: SamplerState) -> Choice:
    if not np.isfinite(row.max()):
        return Choice(None)
    wanted = state.params.logprobs
    raw = row.copy() if wanted is not None else row
    _shape(row, state)
    forbidden = state.forbidden()
    if forbidden is not None:
        np.copyto(row, -np.inf, where=forbidden)
        if not np.isfinite(row.max()):
            return Choice(None)
    token = int(row.argmax()) if _is_greedy(state) else _draw(row, state)
    if row[token] == -np.inf:
        # Rounding moved the draw beyond the total weight.
        token = int(row.argmax())
    if wanted is None:
        return Choice(token)
    return Choice(token, logprob_of(raw, token, wanted, state.params.logprob_token_ids))


def _is_greedy(state: SamplerState) -> bool:
    return state.params.is_greedy or state.params.temperature < _LEAST_TEMPERATURE


def _shape(row: Row, state: SamplerState) -> None:
    """Apply logit bias, excluded tokens and penalties in place. At least one token stays possible."""
    params = state.params
    row[state.bias_ids] += state.bias
    if state.allowed_ids is not None:
        allowed = row[state.allowed_ids]
        row.fill(-np.inf)
        row[state.allowed_ids] = allowed
    for excluded in state.excluded():
        before = row[excluded]
        row[excluded] = -np.inf
        if not np.isfinite(row.max()):
            row[excluded] = before
    if state.prompt_ids is None:
        return
    used = np.fromiter(state.counts.keys(), np.int64, len(state.counts))
    times = np.fromiter(state.counts.values(), np.float32, len(state.counts))
    if params.repetition_penalty != 1.0:
        seen = np.union1d(state.prompt_ids, used)
        values = row[seen]
        penalty = np.float32(params.repetition_penalty)
        row[seen] = np.where(values > 0, values / penalty, values * penalty)
    row[used] -= times * np.float32(params.frequency_penalty) + np.float32(params.presence_penalty)


def _draw(row: Row, state: SamplerState) -> int:
    """Draw a token by inverting the cumulative distribution of the tokens that the truncations keep."""
    params = state.params
    position = state.generator.random()
    limit = row.size
    if params.min_p > 0.0:
        limit = int(np.count_nonzero(row >= row.max() + params.temperature * np.log(params.min_p)))
    if params.top_k:
        limit = min(limit, params.top_k)
    if limit < row.size:
        ids = likeliest(row, limit)
        cumulative = np.cumsum(weights(row[ids], params.temperature))
        mass = float(cumulative[-1])
    else:
        every = np.exp((row - row.max()) / np.float32(params.temperature))
        if params.top_p == 1.0:
            cumulative = np.cumsum(every, dtype=np.float64)
            return min(int(np.searchsorted(cumulative, position * cumulative[-1], side="right")), row.size - 1)
        mass = float(every.sum(dtype=np.float64))
        ids, cumulative = _until(row, params.temperature, mass * params.top_p)
    if params.top_p < 1.0:
        kept = int(np.searchsorted(cumulative, params.top_p * mass)) + 1
        ids, cumulative = ids[:kept], cumulative[:kept]
    return _invert(ids, cumulative, position)


def _invert(ids: Ids, cumulative: NDArray[np.float64], position: float) -> int:
    """The token at `position`, in [0, 1), of a cumulative distribution."""
    index = int(np.searchsorted(cumulative, position * cumulative[-1], side="right"))
    return int(ids[min(index, ids.size - 1)])


def _until(row: Row, temperature: float, needed: float) -> tuple[Ids, NDArray[np.float64]]:
    """Return the likeliest tokens, descending, and their cumulative weights, until the weights exceed `needed`."""
    for count in _GROWTH:
        if count < row.size:
            ids = likeliest(row, count)
            cumulative = np.cumsum(weights(row[ids], temperature))
            if cumulative[-1] > needed:
                return ids, cumulative
    ids = likeliest(row, row.size)
    return ids, np.cumsum(weights(row[ids], temperature))


def logprob_of(raw: Row, token: int, wanted: int, of: Sequence[int] = ()) -> TokenLogprob:
    """The log-probability of a token in a whole row of logits, and of the `wanted` likeliest tokens or those in `of`.

    These come likeliest first.
    """
    top = float(raw.max())
    normaliser = top + float(np.log(np.exp(raw - np.float32(top)).sum(dtype=np.float64)))
    if of:
        ids = np.array(sorted(set(of), key=lambda one: -raw[one]), np.int64)
    else:
        ids = likeliest(raw, wanted) if wanted else np.empty(0, np.int64)
    pairs = tuple((int(i), float(raw[i]) - normaliser) for i in ids)
    return TokenLogprob(token, float(raw[token]) - normaliser, pairs)


def likeliest(row: Row, count: int) -> Ids:
    """Return the indices of the `count` greatest values, descending; equal values in order of index.

    So a larger `count` only extends the result. The k-th greatest block maximum is a lower bound of the k-th greatest
    value, so after one pass for the maxima, only the blocks whose maximum reaches this bound are partitioned.
    """
    blocks = row.size // _BLOCK
    if count < blocks:
        maxima = row[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        reaching = np.flatnonzero(maxima >= np.partition(maxima, blocks - count)[blocks - count])
        inside = (reaching[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
        candidates = np.concatenate([inside, np.arange(blocks * _BLOCK, row.size)])
    else:
        candidates = np.arange(row.size)
    values = row[candidates]
    if count < candidates.size:
        least = np.partition(values, candidates.size - count)[candidates.size - count]
        above = np.flatnonzero(values > least)
        kept = np.concatenate([above, np.flatnonzero(values == least)[: count - above.size]])
        candidates, values = candidates[kept], values[kept]
    order: Ids = candidates[np.lexsort((candidates, -values))]
    return order
