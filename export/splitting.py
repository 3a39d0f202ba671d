"""The rules by which a byte-level BPE tokenizer splits a text into words before it merges them, by GGUF's names.

GGUF's `tokenizer.ggml.pre` names the rules; the file does not contain them. Here they are as the publishers'
tokenizer.json files have them. llama.cpp has the same rules in other expressions (llama-vocab.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Regex, pre_tokenizers


@dataclass(frozen=True)
class Splitting:
    """The rules of one family of tokenizers.

    Attributes:
        expression: the matches are words; empty for GPT-2's expression, which the byte-level step has built in.
        splits_digits: each digit is a word, before the expression applies.
        is_composed: texts are normalised to NFC first.
        takes_whole_words: a word that is a token is not made by merges.
        begins: plain texts begin with the first token, unless the file states otherwise.
    """

    expression: str = ""
    splits_digits: bool = False
    is_composed: bool = False
    takes_whole_words: bool = False
    begins: bool = False

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """The steps from a text to words of GPT-2's letters for bytes."""
        steps: list[pre_tokenizers.PreTokenizer] = []
        if self.splits_digits:
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        if self.expression:
            steps.append(pre_tokenizers.Split(Regex(self.expression), behavior="isolated"))
        built_in = not self.expression
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=built_in))
        return pre_tokenizers.Sequence(steps)


# As published in the tokenizer.json of Qwen2, 2.5 and 3. DeepSeek's distilled Qwen models have it too (llama-vocab.cpp
# reads both names as LLAMA_VOCAB_PRE_TYPE_QWEN2); they differ in the tokens that they add.
_QWEN2 = Splitting(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    is_composed=True,
)
# As Qwen's, but up to three digits are a word, and without normalisation.
_LLAMA3 = Splitting(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    takes_whole_words=True,
    begins=True,
)
# StarCoder's: each digit is a word, and then GPT-2's expression applies. Granite 3 has it under the name "refact".
_STARCODER = Splitting(splits_digits=True)
SPLITTINGS: Mapping[str, Splitting] = {
    "deepseek-r1-qwen": _QWEN2,
    "llama-bpe": _LLAMA3,
    "qwen2": _QWEN2,
    "refact": _STARCODER,
    "smollm": _STARCODER,
}
