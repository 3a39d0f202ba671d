"""Converts TOML or JSON documents to catalogue entries and back. Unknown keys and wrong or unsafe values are errors.

docs/formats/catalogue.md specifies the format.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from appliance.catalog.entry import CrossCheck, ModelEntry, PackageParts, Part
from appliance.document import from_document, from_toml
from appliance.errors import UnsafeFormatError, UsageError
from appliance.names import check_name

_MAX_NAME = 128
FILE_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_MAX_NAME - 1}}}")
# Weights in formats that contain only numbers, and the text files of a checkpoint.
SUFFIXES = frozenset({".gguf", ".safetensors", ".json", ".jinja", ".txt", ".md", ".html"})
TEXTS_WITHOUT_SUFFIX = frozenset({"LICENSE", "NOTICE"})


def entry_from_text(text: str, origin: str) -> ModelEntry:
    """Parse one entry; `origin` names the file in messages.

    Raises:
        UsageError: not TOML, or a key or value is wrong.
        UnsafeFormatError: the entry lists a file in a format that is never opened.
    """
    return _checked(from_toml(ModelEntry, text, origin), origin)


def entry_from_document(document: Mapping[str, Any], origin: str) -> ModelEntry:
    """Build one entry from a parsed document.

    Raises:
        UsageError: a key or value is wrong.
        UnsafeFormatError: the entry lists a file in a format that is never opened.
    """
    return _checked(from_document(ModelEntry, document, origin), origin)


def entry_to_document(entry: ModelEntry) -> dict[str, Any]:
    """The entry as plain values, from which `entry_from_document` creates an equal entry."""
    document = asdict(entry)
    document["trust"] = entry.trust.value
    return {key: value for key, value in document.items() if value is not None}


def check_file_name(name: str) -> str:
    """Return `name` if it is a safe path component with an accepted file format.

    Raises:
        UsageError: the name contains another character, or is too long.
        UnsafeFormatError: the format is neither weights as numbers alone nor text.
    """
    if not FILE_NAME.fullmatch(name):
        raise UsageError(
            f"file name {name!r} is not safe",
            hint=f"rename the file, for example to {_safe(name)}: use up to {_MAX_NAME} characters of A-Z, a-z, 0-9, "
            "'.', '-' and '_', beginning with a letter or digit",
        )
    if PurePath(name).suffix.lower() not in SUFFIXES and name not in TEXTS_WITHOUT_SUFFIX:
        raise UnsafeFormatError(
            f"{name!r} has a format that the appliance never opens",
            hint="use weights in .safetensors or .gguf files; a pickle can run code",
        )
    return name


def _safe(name: str) -> str:
    """A safe name that resembles `name` and has its suffix."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem, dot, suffix = plain.rpartition(".")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[: _MAX_NAME - len(dot + suffix)]
    return f"{stem or 'model'}{dot}{suffix}"


def _checked(entry: ModelEntry, origin: str) -> ModelEntry:
    check_name(entry.name, f"{origin}: model name")
    names = [file.name for file in entry.files]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{origin}: the file {name!r} occurs twice")
        check_file_name(name)
    if entry.source is not None:
        _check_parts(entry, entry.source, origin)
    return entry


def _check_parts(entry: ModelEntry, source: PackageParts, origin: str) -> None:
    sizes = dict.fromkeys((file.name for file in entry.files), 0)
    for part in source.parts:
        if part.file not in sizes:
            raise UsageError(f"{origin}: part {part.wheel} belongs to {part.file!r}, which is not among the files")
        _check_wheel(part, origin)
        sizes[part.file] += part.size_bytes
    for file in entry.files:
        if sizes[file.name] != file.size_bytes:
            raise UsageError(f"{origin}: the parts of {file.name} have {sizes[file.name]} bytes, not {file.size_bytes}")
    for check in source.cross_checks:
        _check_wheel(check, origin)
        for name in check.files:
            if name not in sizes:
                raise UsageError(
                    f"{origin}: the cross-check {check.wheel} lists {name!r}, which is not among the files"
                )


def _check_wheel(part: Part | CrossCheck, origin: str) -> None:
    if not FILE_NAME.fullmatch(part.wheel) or not part.wheel.endswith(".whl"):
        raise UsageError(f"{origin}: wheel {part.wheel!r} is not a wheel's file name")
    check_name(part.package, f"{origin}: package")
