"""What the clients' files check with: the standard library has it for tests alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raises(kind: type[Exception], **attributes: object) -> Iterator[None]:
    """Fail unless the block raises this kind of exception, with these attributes."""
    caught: Exception | None = None
    try:
        yield
    except kind as error:
        caught = error
    assert caught is not None, f"no {kind.__name__}"
    found = {name: getattr(caught, name, None) for name in attributes}
    assert found == attributes, f"{caught!r} has {found}"
