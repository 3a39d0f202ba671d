"""Settings of the C library's heap, which holds weights that ONNX Runtime rearranged. They do not affect results."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

_TUNABLES = "GLIBC_TUNABLES"
# glibc requests huge pages for all memory of malloc; versions before 2.35 ignore this setting.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"


def with_huge_pages(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for a program with its heap in huge pages.

    Each step reads all weights once, in order: with pages of 4 kB, the processor spends a part of that time on address
    translation. Existing tunables stay and take precedence.
    """
    return {**environ, _TUNABLES: ":".join(filter(None, (_HUGE_PAGES, environ.get(_TUNABLES))))}


def give_back_free_memory() -> None:
    """Return the heap's free pages to the system. It does nothing if the C library is not glibc.

    Parsing a large document leaves free memory in the heap, which the heap keeps by default: after the tokenizer of
    151,936 tokens, about as much as the tokenizer itself needs.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
