"""Runs an installation again and again, and cuts the power once before each of its system calls.

`python -m tests.releases.sweep CASE FOLDER`: `FOLDER/before` is the root as it was. The roots after each cut lie in
`FOLDER/<loss>/<number of the call>`. A process of its own: it forks, and has one thread.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.power_cut import Loss, run_with_cut
from tests.releases.installs import INSTALLS

_MOST_CALLS = 500


def sweep(case: str, folder: Path) -> None:
    """Leave one root for each loss and each call; the last of a loss is the one that had ended."""
    for loss in Loss:
        for number in range(1, _MOST_CALLS):
            root = folder / loss.name.lower() / f"{number:03}"
            shutil.copytree(folder / "before", root, symlinks=True)
            if run_with_cut(lambda root=root: INSTALLS[case](root, folder / "new"), root, number, loss):  # type: ignore[misc]
                break


if __name__ == "__main__":
    sweep(sys.argv[1], Path(sys.argv[2]))
