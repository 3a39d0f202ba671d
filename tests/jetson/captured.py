"""Unpacks trees of a board's files, and changes a temperature. A tree is a text file: `path=line`, `path->link`."""

from __future__ import annotations

from pathlib import Path

TREES = Path(__file__).parent / "trees"
NAMES = tuple(sorted(path.stem for path in TREES.glob("*.txt")))


def unpack(name: str, root: Path) -> Path:
    """Write the tree's files below `root`, which is returned."""
    files: dict[str, list[str]] = {}
    for line in (TREES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        path, arrow, target = line.partition("->")
        if line.startswith("#"):
            continue
        if arrow and "=" not in path:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(target)
        else:
            path, _, content = line.partition("=")
            files.setdefault(path, []).append(content.replace("\\0", "\0"))
    for path, lines in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def heat(root: Path, celsius: float, zone: int = 0) -> None:
    """Set a zone's temperature, as the kernel shows it."""
    path = root / f"sys/class/thermal/thermal_zone{zone}/temp"
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{int(celsius * 1000)}\n", encoding="utf-8")
    # At once, as the kernel's files change: no reader finds it empty.
    fresh.replace(path)
