"""Documents in messages: texts that clients send as files or as search results, as the model reads them."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr


def document_text(text: str, **details: str | None) -> str:
    """Return the document for the prompt: its text between tags, with the details (title, source) that are given.

    The tags are plain text for the model; they only separate the document from the question.
    """
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in details.items() if value)
    return f"<document{attributes}>\n{text}\n</document>"
