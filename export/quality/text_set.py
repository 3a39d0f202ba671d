"""The text set of the quality measurement, written for this purpose: code, prose, several languages, chat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "texts"
# Byte-level tokenizers with tiny vocabularies make many tokens of a text; the supported models need up to 213.
MAX_TOKENS_PER_TEXT = 256
GREEDY_TOKENS = 24

# The prompts of greedy decoding.
PROMPTS = (
    "def is_prime(n: int) -> bool:\n",
    "The three most common causes of a slow web page are",
    "SELECT name, price FROM products WHERE",
    "Wasser kocht bei",
    "中国最长的河流是",
    (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nExplain in one sentence what a hash table is.<|im_end|>\n<|im_start|>assistant\n"
    ),
)


@dataclass(frozen=True)
class Text:
    """One text.

    Attributes:
        name: its file's name without suffix.
        content: the text.
    """

    name: str
    content: str

    @property
    def kind(self) -> str:
        """The kind of the text: "code", "prose", "language" or "chat"."""
        return self.name.partition("-")[0]


def load_texts() -> tuple[Text, ...]:
    """Read the text set, sorted by name."""
    return tuple(Text(path.stem, path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.txt")))


def text_set_digest() -> str:
    """The sha256 over all texts and prompts."""
    digest = hashlib.sha256(f"{MAX_TOKENS_PER_TEXT} {GREEDY_TOKENS} {PROMPTS!r}".encode())
    for text in load_texts():
        digest.update(f"\n{text.name}\n{text.content}".encode())
    return digest.hexdigest()
