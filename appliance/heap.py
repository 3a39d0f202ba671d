"""The C library's heap: where weights lie that ONNX Runtime has rearranged. Nothing here matters to correctness."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

_TUNABLES = "GLIBC_TUNABLES"
# glibc asks the kernel for huge pages for all that malloc maps; before 2.35 it does not know the word and ignores it.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"


def with_huge_pages(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for a program whose heap is to lie in huge pages.

    Each step reads all weights once, front to back: with pages of 4 kB the processor spends a part of that time on
    finding the next page. Tunables that are set already stay, and win.
    """
    return {**environ, _TUNABLES: ":".join(filter(None, (_HUGE_PAGES, environ.get(_TUNABLES))))}


def give_back_free_memory() -> None:
    """Return the heap's free pages to the system. It does nothing where the C library is not glibc.

    Large things that are parsed once leave free memory behind, which the heap keeps unless told: the tokenizer of
    151,936 tokens about as much as it needs itself.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
