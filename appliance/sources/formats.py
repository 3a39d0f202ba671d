"""The accepted file formats of a checkpoint. A file that can run code when it is opened is rejected with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from appliance.errors import IntegrityError, UnsafeFormatError

PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
WEIGHT_SUFFIXES = frozenset({".gguf", ".safetensors"})
# The store has no folders: 1_Pooling/config.json of an embedding model has this name.
POOLING = "1_Pooling.config.json"
# Text files of a checkpoint; all other files in a folder are left out.
TEXTS = frozenset(
    {
        POOLING,
        "LICENSE",
        "NOTICE",
        "added_tokens.json",
        "chat_template.jinja",
        "config.json",
        "config_sentence_transformers.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors.index.json",
        "modules.json",
        "sentence_bert_config.json",
        "sentence_xlm-roberta_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    }
)
REMOTE_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines")
HEAD_BYTES = 16
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
PICKLE_PROTOCOLS = range(2, 6)
# What `git clone` writes in place of a large file if Git LFS is not installed.
LFS_MAGIC = b"version https://"
MAX_SAFETENSORS_HEADER_BYTES = 100_000_000
GGUF_VERSIONS = (2, 3)
INCOMPLETE_HINT = "get the file again: it may be an incomplete download"


def check_name_is_safe(name: str) -> None:
    """Check that a file's name is not that of a format that can run code.

    Raises:
        UnsafeFormatError: it is.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in PICKLE_SUFFIXES:
        raise UnsafeFormatError(
            f"{name} is refused: it is a Python pickle file, which can run code when it is opened",
            hint="the box reads safetensors and GGUF files: if the folder has them, move this file out of the folder; "
            "if not, get that version of the model",
        )
    if suffix == ".py":
        raise UnsafeFormatError(
            f"{name} is refused: the appliance never runs code of a checkpoint (trust_remote_code)",
            hint="use a checkpoint of a supported architecture, without code",
        )


def check_text(name: str, content: bytes) -> None:
    """Check a text file: JSON must be valid, and must not refer to code.

    Raises:
        UnsafeFormatError: the file refers to code to run.
        IntegrityError: the format does not match the name.
    """
    if not name.endswith(".json"):
        return
    _check_not_pointer(name, content)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{name} is not JSON: {error}", hint=INCOMPLETE_HINT) from error
    # A vocabulary may contain the text `auto_map`; only configuration files can refer to code.
    if name.endswith("config.json"):
        if not isinstance(document, dict):
            raise IntegrityError(f"{name} is not a JSON object", hint=INCOMPLETE_HINT)
        _check_settings(name, document)


def _check_settings(name: str, document: Any) -> None:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key in REMOTE_CODE_KEYS:
                if value.get(key):
                    raise UnsafeFormatError(
                        f"{name} is refused: {key!r} requires code of the checkpoint",
                        hint="trust_remote_code is not supported; use a checkpoint without it",
                    )
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def checked(name: str, size_bytes: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the weights' chunks, after checking that the first bytes match the file's name.

    Raises:
        UnsafeFormatError: the file is a pickle or an archive.
        IntegrityError: the file is neither GGUF nor safetensors.
    """
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    check_head(name, size_bytes, head)
    yield head
    yield from rest


def check_head(name: str, size_bytes: int, head: bytes) -> None:
    """Check the first bytes of a weight file; other files are accepted.

    Args:
        name: the file's name, whose suffix decides the expected format.
        size_bytes: size of the whole file.
        head: the first bytes, 16 or more unless the file is shorter.

    Raises:
        UnsafeFormatError: the file is a pickle or an archive.
        IntegrityError: the format does not match the name.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in WEIGHT_SUFFIXES or (_is_gguf(head) if suffix == ".gguf" else _is_safetensors(head, size_bytes)):
        return
    if head.startswith(ZIP_MAGIC):
        raise UnsafeFormatError(
            f"{name} is refused: its content is a zip archive, which torch.save uses for pickles",
            hint="the renamed file may be an attack; get the model from another source",
        )
    if head[:1] == PICKLE_MAGIC and head[1:2] and head[1] in PICKLE_PROTOCOLS:
        raise UnsafeFormatError(
            f"{name} is refused: its content is a Python pickle, which runs code when it is opened",
            hint="the renamed file may be an attack; get the model from another source",
        )
    _check_not_pointer(name, head)
    raise IntegrityError(f"{name} is not a {suffix[1:]} file", hint=INCOMPLETE_HINT)


def _check_not_pointer(name: str, content: bytes) -> None:
    if content.startswith(LFS_MAGIC):
        raise IntegrityError(
            f"{name} is a pointer of Git LFS, not the file itself", hint="run git lfs pull in the folder of the clone"
        )


def _is_gguf(head: bytes) -> bool:
    return head[:4] == b"GGUF" and int.from_bytes(head[4:8], "little") in GGUF_VERSIONS


def _is_safetensors(head: bytes, size_bytes: int) -> bool:
    header_bytes = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and header_bytes <= min(size_bytes - 8, MAX_SAFETENSORS_HEADER_BYTES)
