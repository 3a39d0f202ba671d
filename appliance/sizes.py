"""Formats numbers of bytes for all messages and tables."""

from __future__ import annotations

_UNITS = (("GB", 10**9, 2), ("MB", 10**6, 1), ("kB", 10**3, 1))


def size(size_bytes: int) -> str:
    """A size in decimal units, as in data sheets and for disks: 491400064 -> "491.4 MB".

    Gigabytes have two decimals, because they decide whether a model fits a board of 8 GB.
    """
    for unit, scale, decimals in _UNITS:
        if size_bytes >= scale:
            return f"{size_bytes / scale:,.{decimals}f} {unit}"
    return f"{size_bytes} B"
