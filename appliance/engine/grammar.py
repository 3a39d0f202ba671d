"""Computes which tokens may come next so that a completion matches a grammar, with llguidance.

This module chooses no token. A grammar that the library cannot enforce fails at compile time, before the first token.
The library does not limit the cost of a grammar, so a grammar runs in a process that can be ended
(`grammar_process.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

import llguidance
import numpy as np
from llguidance.gbnf_to_lark import gbnf_to_lark
from numpy.typing import NDArray

from appliance.engine.grammar_wire import forbidden_by
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import RequestError
from appliance.inference.structured_output import PARAM, ConstraintKind, StructuredOutput
from appliance.json_schema import MAX_OPTIONAL_PROPERTIES

_MAX_REASON_CHARACTERS = 300
# Four items for each optional property, and as many for the alternatives at the same position.
_MAX_ROW_ITEMS = 8 * MAX_OPTIONAL_PROPERTIES
_MAX_DICTATED_CHARACTERS = 512
_PROBED_TOKENS = 4
_WORD = re.compile(r"\s*\S+|\s+")
# The position of an error in a grammar, and the lines that the library quotes after it.
_PLACE = re.compile(r"(?:at )?(\d+)\(\d+\): ")
_QUOTED = re.compile(r"\n *\d+ \| ")
_RULE = re.compile(r"\w+")
_GBNF_RULE = re.compile(r"^[ \t]*[\w-]+[ \t]*::=", re.MULTILINE)
_GBNF_PLACE = re.compile(r"(.*?) at line (\d+), ", re.DOTALL)


class Matcher:
    """The state of one completion in a grammar. It belongs to one sequence; one thread at a time may use it."""

    def __init__(self, state: llguidance.LLMatcher, tokens: int) -> None:
        self._state = state
        self._tokens = tokens
        self._mask = np.zeros((tokens + 31) // 32, np.uint32)

    @property
    def is_complete(self) -> bool:
        """Whether the text matches and nothing can be added to it."""
        return bool(self._state.is_stopped()) and not self.error

    @property
    def error(self) -> str:
        """Why the grammar cannot continue, as text for people; empty without an error."""
        return _first_line(self._state.get_error()) if self._state.is_error() else ""

    def mask(self) -> NDArray[np.uint8]:
        """Which tokens may come next, one bit per token: see `forbidden_by`. Valid until the next call.

        The model's end tokens are allowed where the text matches. After an error, no token is allowed.
        """
        self._state.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._state.is_error():
            self._mask[:] = 0
        return self._mask.view(np.uint8)

    def forbidden(self) -> NDArray[np.bool_]:
        """Which tokens may not come next, [tokens]."""
        return forbidden_by(self.mask(), self._tokens)

    def accept(self, token: int) -> None:
        """Advance by a chosen token, which must be allowed."""
        self._state.consume_token(token)


class Grammars:
    """Compiles grammars for one model's tokens."""

    def __init__(self, tokenizer: Tokenizer, tokens: int, end_tokens: Collection[int]) -> None:
        """Index the tokens: this takes about half a second and 50 MB for 150,000 tokens.

        Args:
            tokenizer: the model's tokenizer.
            tokens: token ids are below this number.
            end_tokens: the model's end tokens, at least one.
        """
        self._tokens = tokens
        self._library = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Vocabulary(tokenizer, tokens, end_tokens)),
            n_vocab=tokens,
            eos_token=sorted(end_tokens),
        )
        self._limits = llguidance.LLParserLimits(max_items_in_row=_MAX_ROW_ITEMS, verbose_errors=False)

    def matcher(self, wanted: StructuredOutput) -> Matcher:
        """Compile a grammar and return a matcher at its start.

        Raises:
            RequestError: the grammar cannot be enforced; the message contains the reason.
        """
        try:
            compiled = llguidance.LLMatcher(self._library, _grammar(wanted), limits=self._limits, log_level=0)
        except ValueError as error:
            raise _refusal(str(error)) from error
        if compiled.is_error():
            raise _refusal(_without_grammar(compiled.get_error(), wanted.text))
        # The copy shares the compiled grammar's caches, so the work of the trial steps is reused.
        self._check_beginning(Matcher(compiled.deep_copy(), self._tokens))
        return Matcher(compiled, self._tokens)

    def _check_beginning(self, matcher: Matcher) -> None:
        """Try a few tokens: only this shows that no text matches, or that the grammar exceeds the limits."""
        for _ in range(_PROBED_TOKENS):
            forbidden = matcher.forbidden()
            if forbidden.all():
                raise _refusal(matcher.error or "no text can match it")
            matcher.accept(int(forbidden.argmin()))
            if matcher.is_complete:
                return
            if matcher.error:
                raise _refusal(matcher.error)


class _Vocabulary:
    """The model's tokens in the form that llguidance requires (`TokenizerWrapper`)."""

    def __init__(self, tokenizer: Tokenizer, tokens: int, end_tokens: Collection[int]) -> None:
        specials = tokenizer.special_tokens
        self._tokenizer = tokenizer
        self.eos_token_id = min(end_tokens)
        self.bos_token_id = None
        self.special_token_ids = sorted({*specials, *end_tokens})
        self.tokens = tokenizer.vocabulary(tokens)
        for token, name in specials.items():
            self.tokens[token] = name.encode()
        self._bytes = {known: token for token, known in enumerate(self.tokens) if len(known) == 1}

    def __call__(self, text: str) -> list[int]:
        """Encode text that a grammar requires into tokens that stand for exactly its bytes.

        The tokenizer's result is not exact where it normalises Unicode or reads a name as a special token. There, the
        word is encoded byte by byte.
        """
        # The library calls this again after each token and uses only the first token.
        text = text[:_MAX_DICTATED_CHARACTERS]
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        if self._is_exact(ids, text):
            return ids
        return [token for word in _WORD.findall(text) for token in self._encode_word(word)]

    def _encode_word(self, word: str) -> list[int]:
        ids = self._tokenizer.encode(word, add_special_tokens=False)
        if self._is_exact(ids, word):
            return ids
        letters = (bytes([byte]) for byte in word.encode())
        return [self._bytes[letter] for letter in letters if letter in self._bytes]

    def _is_exact(self, ids: list[int], text: str) -> bool:
        return b"".join(map(self._tokenizer.token_bytes, ids)) == text.encode()


def _grammar(wanted: StructuredOutput) -> str:
    """The grammar in the library's own form."""
    if wanted.kind is ConstraintKind.REGEX:
        return llguidance.LLMatcher.grammar_from_regex(wanted.text)
    if wanted.kind is ConstraintKind.GRAMMAR:
        return llguidance.LLMatcher.grammar_from_lark(_lark(wanted.text))
    if wanted.kind is ConstraintKind.CHOICE:
        texts = (json.dumps(text, ensure_ascii=False) for text in json.loads(wanted.text))
        return llguidance.LLMatcher.grammar_from_lark(f"start: {' | '.join(texts)}")
    return llguidance.LLMatcher.grammar_from_json_schema(wanted.text)


def _lark(text: str) -> str:
    """The grammar in Lark's form; one with a rule of llama.cpp's form is converted.

    Raises:
        ValueError: the grammar cannot be converted; the message names the line.
    """
    if not _GBNF_RULE.search(text):
        return text
    try:
        return str(gbnf_to_lark(text))
    except RecursionError as error:
        raise ValueError("the GBNF grammar is nested too deeply") from error
    except Exception as error:  # the library's errors have no narrower base class
        # The message quotes the grammar after the line.
        place = _GBNF_PLACE.match(str(error))
        reason = f"{place[1]} in line {place[2]}" if place else str(error)
        raise ValueError(f"the GBNF grammar cannot be converted: {reason}") from error


def _refusal(reason: str) -> RequestError:
    return RequestError(f"{PARAM} cannot be enforced: {_first_line(reason)}", param=PARAM)


def _without_grammar(reason: str, text: str) -> str:
    """The reason, with the rule's name instead of the quoted lines of the grammar."""
    reason = _QUOTED.split(reason)[0]
    place = _PLACE.match(reason)
    if place is None:
        return reason
    line = text.split("\n")[int(place[1]) - 1 :][:1]
    rule = _RULE.match(line[0]) if line else None
    return f"rule {rule[0] if rule else place[1]}: {reason[place.end() :]}"


def _first_line(reason: str) -> str:
    """The library's message, shortened, without text of the completion."""
    if reason.startswith("NoExtension"):
        return "no text can match it"
    if reason.startswith("Parser Error"):
        return "the model's tokens cannot produce a matching text"
    return " ".join(reason.removesuffix("<non-verbose/>").split())[:_MAX_REASON_CHARACTERS]
