"""TOML or JSON documents to catalogue entries and back. Refuses unknown keys, wrong types, bad digests, unsafe names.

The format is described in docs/formats/catalogue.md.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import PurePath
from typing import Any, TypeVar, get_args, get_type_hints

from appliance.catalog.entry import TOOL_FORMS, Conversation, ModelEntry, ModelFile, PackageParts, Part, Trust
from appliance.errors import UnsafeFormatError, UsageError
from appliance.names import check_name
from appliance.number import whole

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = TypeVar("Value", ModelEntry, ModelFile, Part, PackageParts, Conversation)

# The largest file system holds fewer bytes.
_MAX_NUMBER = 1 << 60
SHA256 = re.compile(r"[0-9a-f]{64}")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Weights in formats that only hold numbers, and the texts that come with them.
SUFFIXES = frozenset({".gguf", ".safetensors", ".json", ".jinja", ".txt", ".md", ".html"})
TEXTS_WITHOUT_SUFFIX = frozenset({"LICENSE", "NOTICE"})


def entry_from_text(text: str, origin: str) -> ModelEntry:
    """Parse one entry; `origin` names the file in messages.

    Raises:
        UsageError: not TOML, or a key or value is wrong.
        UnsafeFormatError: it lists a file in a format that is never opened.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin} is not TOML: {error}") from error
    return entry_from_document(document, origin)


def entry_from_document(document: Mapping[str, Any], origin: str) -> ModelEntry:
    """Build one entry from a parsed document.

    Raises:
        UsageError: a key or value is wrong.
        UnsafeFormatError: it lists a file in a format that is never opened.
    """
    values = dict(document)
    values["files"] = tuple(_build(ModelFile, v, f"{origin} files") for v in _tables(values.get("files"), origin))
    source = values.get("source")
    if source is not None:
        if not isinstance(source, dict) or set(source) != {"parts"}:
            raise UsageError(f"{origin}: source must be a table with the one key 'parts'")
        parts = tuple(_build(Part, v, f"{origin} parts") for v in _tables(source["parts"], origin))
        values["source"] = PackageParts(parts)
    if values.get("conversation") is not None:
        values["conversation"] = _conversation(values["conversation"], origin)
    try:
        values["trust"] = Trust(values.get("trust"))
    except ValueError as error:
        known = ", ".join(trust.value for trust in Trust)
        raise UsageError(f"{origin}: trust must be one of: {known}", hint="see docs/formats/catalogue.md") from error
    entry = _build(ModelEntry, values, origin)
    _check_entry(entry, origin)
    return entry


def entry_to_document(entry: ModelEntry) -> dict[str, Any]:
    """The entry as plain values, such that `entry_from_document` gives it back."""
    document = asdict(entry)
    document["trust"] = entry.trust.value
    return {key: value for key, value in document.items() if value is not None}


def check_file_name(name: str) -> str:
    """Return `name` if it is one safe path component and a file of this kind is ever opened.

    Raises:
        UsageError: it has another character, or is too long.
        UnsafeFormatError: it is not weights as numbers alone, and not a text.
    """
    if not FILE_NAME.fullmatch(name):
        raise UsageError(
            f"file name {name!r} is not safe",
            hint="use up to 128 letters, digits, '.', '-' or '_', beginning with a letter or digit",
        )
    if PurePath(name).suffix.lower() not in SUFFIXES and name not in TEXTS_WITHOUT_SUFFIX:
        raise UnsafeFormatError(
            f"{name!r} has a format that the appliance never opens",
            hint="use weights in .safetensors or .gguf files; a pickle can run code",
        )
    return name


def _conversation(value: Any, origin: str) -> Conversation:
    if not isinstance(value, dict):
        raise UsageError(f"{origin}: conversation must be a table")
    conversation = _build(Conversation, value, f"{origin} conversation")
    if conversation.tools not in {None, *TOOL_FORMS}:
        raise UsageError(
            f"{origin}: conversation tools cannot be {conversation.tools!r}",
            hint=f"use one of: {', '.join(TOOL_FORMS)}",
        )
    return conversation


def _tables(value: Any, origin: str) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, dict) for item in value):
        raise UsageError(f"{origin}: 'files' and 'parts' are lists of tables with at least one in each")
    return list(value)


def _build(kind: type[Value], values: Mapping[str, Any], origin: str) -> Value:
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise UsageError(f"{origin}: unknown key {key!r}", hint=f"known keys: {', '.join(sorted(hints))}")
    for option in fields(kind):
        if (
            option.name not in values
            and option.default is MISSING
            and types.NoneType not in get_args(hints[option.name])
        ):
            raise UsageError(f"{origin}: {option.name!r} is missing")
    values = {option.name: None for option in fields(kind) if option.default is MISSING} | dict(values)
    for key, value in values.items():
        _check_value(key, value, hints[key], origin)
    return kind(**values)


def _check_value(key: str, value: Any, hint: Any, origin: str) -> None:
    if int in (hint, *get_args(hint)) and value is not None:
        try:
            whole(value, least=1, most=_MAX_NUMBER)
        except ValueError as error:
            raise UsageError(f"{origin}: {key} {error}") from error
    if hint is str and (not isinstance(value, str) or not value.strip()):
        raise UsageError(f"{origin}: {key} must be a text, not {value!r}")
    if hint is bool and not isinstance(value, bool):
        raise UsageError(f"{origin}: {key} must be true or false, not {value!r}")
    if key.endswith("sha256") and not SHA256.fullmatch(value):
        raise UsageError(f"{origin}: {key} must be 64 lower-case hexadecimal digits, not {value!r}")


def _check_entry(entry: ModelEntry, origin: str) -> None:
    check_name(entry.name, f"{origin}: model name")
    names = [file.name for file in entry.files]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{origin}: the file {name!r} occurs twice")
        check_file_name(name)
    if entry.source is not None:
        _check_parts(entry, entry.source, origin)


def _check_parts(entry: ModelEntry, source: PackageParts, origin: str) -> None:
    sizes = dict.fromkeys((file.name for file in entry.files), 0)
    for part in source.parts:
        if part.file not in sizes:
            raise UsageError(f"{origin}: part {part.wheel} belongs to {part.file!r}, which is not among the files")
        if not FILE_NAME.fullmatch(part.wheel) or not part.wheel.endswith(".whl"):
            raise UsageError(f"{origin}: wheel {part.wheel!r} is not a wheel's file name")
        check_name(part.package, f"{origin}: package")
        sizes[part.file] += part.size_bytes
    for file in entry.files:
        if sizes[file.name] != file.size_bytes:
            raise UsageError(f"{origin}: the parts of {file.name} have {sizes[file.name]} bytes, not {file.size_bytes}")
