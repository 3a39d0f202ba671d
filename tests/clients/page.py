"""docs/clients.md: what was tried with which version, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.clients import calls
from tests.clients.client import Client
from tests.clients.outcome import Outcome
from tests.real_model import NAME

_MARK = {True: "✓", False: "✗"}


def page(outcomes: Sequence[Outcome]) -> str:
    """The page as Markdown."""
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    lines = [
        "# Clients",
        "",
        "`make client-test` generates this page. It installs these clients, unmodified, from locks with hashes in",
        f"environments of their own, and runs them against a real box that serves `{NAME}` with Triton.",
        "✓: the call works. ✗: it fails; the reason is below the table. An empty cell: the client has no such call,",
        "or we do not try it.",
        "",
        *matrix(outcomes),
        "",
        f"{len(outcomes) - failed} of {len(outcomes)} rows have no failure.",
        "",
        "| call | the client … |",
        "|---|---|",
        *(f"| {call} | {meaning} |" for call, meaning in calls.CALLS.items()),
    ]
    reasons = [
        f"- {outcome.client.title}, {outcome.client.package}, {outcome.client.api}, {call}:"
        f" `{_reason(outcome.client, error)}`"
        for outcome in outcomes
        for call, error in outcome.failures.items()
    ]
    if reasons:
        lines += ["", "## Failures", "", *reasons]
    return "\n".join(lines) + "\n"


def matrix(outcomes: Sequence[Outcome]) -> list[str]:
    """The lines of the table."""
    lines = [
        "| client | package | version | API | " + " | ".join(calls.CALLS) + " |",
        "|---" * (4 + len(calls.CALLS)) + "|",
    ]
    for outcome in outcomes:
        client = outcome.client
        cells = [client.title, f"`{client.package}`", outcome.version or "did not start", client.api]
        cells += [_MARK[outcome.errors[call] is None] if call in outcome.errors else "" for call in calls.CALLS]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _reason(client: Client, error: str) -> str:
    """The message of an error: Node.js writes it before the stack, Python after it."""
    lines = error.strip().splitlines() or [""]
    return lines[0 if client.is_node else -1][:200].replace("`", "'")
