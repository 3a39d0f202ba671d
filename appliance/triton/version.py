"""Triton's version, its container release and the security fixes that it lacks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.errors import MissingProgramError

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, order=True)
class TritonVersion:
    """A version of the server itself, such as 2.51.0."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def from_text(cls, text: str) -> TritonVersion:
        """Parse "2.51.0", "2.71.0dev" and the like.

        Raises:
            MissingProgramError: the text has no version.
        """
        found = _VERSION.match(text.strip())
        if not found:
            raise MissingProgramError(f"{text.strip()!r} is not a version of Triton", hint="install Triton again")
        return cls(int(found[1]), int(found[2]), int(found[3] or 0))

    @property
    def release(self) -> str:
        """The release of NVIDIA's container with this version, such as "24.10"; empty if unknown.

        NVIDIA releases one minor version a month, with one exception: July 2025 was 2.59.1.
        """
        if (self.major, self.minor, self.patch) == (2, 59, 1):
            return "25.07"
        if self.major != _FIRST.major or self.minor < _FIRST.minor:
            return ""
        months = 10 + self.minor - _FIRST.minor + (1 if self.minor >= _AFTER_JULY_2025.minor else 0)
        return f"{24 + (months - 1) // 12}.{(months - 1) % 12 + 1:02d}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


_FIRST = TritonVersion(2, 51)
_AFTER_JULY_2025 = TritonVersion(2, 60)

PRODUCTION_MINIMUM = TritonVersion(2, 71)

# (fixed in version, in release, what), from NVIDIA's security bulletins; the list need not be complete.
FIXES = (
    (TritonVersion(2, 59, 1), "25.07", "CVE-2025-23319, -23320, -23334: code execution through the Python backend"),
    (TritonVersion(2, 67), "26.03", "CVE-2026-24207 (9.8): authentication bypass"),
    (TritonVersion(2, 70), "26.06", "CVE-2026-47627 (9.8): path traversal"),
    (TritonVersion(2, 71), "26.07", "CVE-2026-16497 (7.5): denial of service"),
)


def missing_fixes(version: TritonVersion) -> tuple[str, ...]:
    """The known security fixes that this version lacks, one line each."""
    return tuple(f"{what} (fixed in {release})" for fixed, release, what in FIXES if version < fixed)


def warning(version: TritonVersion) -> str:
    """One line that explains why this version is unfit for production; an empty string if it is fit."""
    if version >= PRODUCTION_MINIMUM:
        return ""
    release = f" (release {version.release})" if version.release else ""
    return (
        f"Triton {version}{release} lacks {len(missing_fixes(version))} known security fixes: for development, tests "
        f"and demonstrations on loopback only; production needs {PRODUCTION_MINIMUM.release} or newer"
    )


def check_production(version: TritonVersion) -> None:
    """Check that a version may serve in production.

    Raises:
        MissingProgramError: the version is older than 26.07.
    """
    if version < PRODUCTION_MINIMUM:
        raise MissingProgramError(
            f"{warning(version)}; missing: {'; '.join(missing_fixes(version))}",
            hint=f"install NVIDIA's Triton {PRODUCTION_MINIMUM.release} or newer, or accept the risk with "
            "--allow-old-triton",
        )
