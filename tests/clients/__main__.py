"""`python -m tests.clients`: run the clients against a real box, print the matrix and write docs/clients.md."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from tests.clients.box import ClientsBox
from tests.clients.client import CLIENTS
from tests.clients.environment import ROOT
from tests.clients.outcome import Outcome, run
from tests.clients.page import matrix, page

PAGE = ROOT / "docs" / "clients.md"


def main() -> int:
    """Run them; 0 if every call passed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients",
        description="Run real clients, each in an environment of its own, against a real box on this machine.",
    )
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="run only clients whose lock and file match this regex"
    )
    only = parser.parse_args().only
    chosen = [client for client in CLIENTS if re.search(only, f"{client.lock}/{client.file}")]
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="appliance-clients-") as root, ClientsBox(Path(root)) as box:
        for client in chosen:
            outcomes.append(run(client, box.environment))
            _print(outcomes[-1])
    print(*matrix(outcomes), sep="\n")  # noqa: T201
    if not only:
        PAGE.write_text(page(outcomes), encoding="utf-8")
    tried = [error for outcome in outcomes for error in outcome.errors.values()]
    passed = tried.count(None)
    print(f"\n{passed} passed, {len(tried) - passed} failed")  # noqa: T201
    return 1 if passed < len(tried) else 0


def _print(outcome: Outcome) -> None:
    calls = ", ".join(f"{call} {'failed' if error else 'ok'}" for call, error in outcome.errors.items())
    print(f"{outcome.client.title} {outcome.version} ({outcome.client.api}): {calls}", flush=True)  # noqa: T201
    for call, error in outcome.failures.items():
        print(f"--- {call}\n{error}\n---", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
