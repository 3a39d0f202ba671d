"""The table of docs/targets.md, from the target files: `python -m tests.targets.page` prints it."""

from __future__ import annotations

from appliance.targets import Target, VersionRange, targets

HEAD = """\
| target | hardware | compute capability | CUDA | TensorRT | for RTX | JetPack | presets, the default first |
|---|---|---|---|---|---|---|---|
"""


def table() -> str:
    """All targets, one a line."""
    return HEAD + "".join(_line(target) for target in targets().values())


def _line(target: Target) -> str:
    ranges = (target.cuda, target.tensorrt, target.tensorrt_rtx, target.jetpack)
    cells = [
        f"`{target.name}`",
        target.title,
        target.compute_capability,
        *(_words(versions) for versions in ranges),
        ", ".join(f"`{preset}`" for preset in target.presets),
    ]
    return f"| {' | '.join(cells)} |\n"


def _words(versions: VersionRange | None) -> str:
    return "" if versions is None else str(versions)


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - it is what the module is for
