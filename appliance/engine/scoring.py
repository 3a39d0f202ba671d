"""Log-probabilities of a prompt's own tokens, from the logits of a few of its rows. It keeps no logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from appliance.engine.logits import Logits
from appliance.engine.sampler import Row, logprob_of
from appliance.inference.events import TokenLogprob


def prompt_logprobs(
    logits: Logits, rows: Sequence[int], following: Sequence[int], wanted: int, tokens: int
) -> tuple[TokenLogprob, ...] | None:
    """The log-probability of the token after each row; None if a row's logits are not finite.

    Args:
        logits: see Logits.
        rows: indices of the rows.
        following: for each row, the prompt's next token.
        wanted: number of likeliest tokens to list for each row.
        tokens: logits at or beyond this column are ignored.
    """
    whole = logits.rows(rows)[:, :tokens]
    candidates = logits.candidates(rows)
    found = []
    for index, (row, token) in enumerate(zip(whole, following, strict=True)):
        if not np.isfinite(row.max()):
            return None
        listed = None if candidates is None else candidates.shortlist(index)
        if listed is not None and wanted <= listed.sure:
            # The normaliser of a completion's log-probabilities, without reading the whole row again.
            logprob = float(row[token]) - listed.log_normaliser
            figures = TokenLogprob(token, logprob, listed.likeliest(wanted))
        else:
            figures = logprob_of(row, token, wanted)
        found.append(replace(figures, rank=_rank(row, token)))
    return tuple(found)


def _rank(row: Row, token: int) -> int:
    return 1 + int(np.count_nonzero(row > row[token]))
