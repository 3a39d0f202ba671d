"""Which tokens may come next so that a completion matches a description: llguidance, compiled for a model's tokens.

It chooses no token. What the library cannot promise is refused when it is compiled, before the first token.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Collection

import llguidance
import numpy as np
from numpy.typing import NDArray

from appliance.engine.structured_output import PARAM, Form, StructuredOutput
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import RequestError

CACHED_GRAMMARS = 16
_MAX_REASON_CHARACTERS = 300
# For a schema of ours or a client's: its own "x-guidance" may not loosen what it says. White space is bounded because a
# model that has nothing to say would go on with it for ever.
_SCHEMA_OPTIONS = {
    "item_separator": ",",
    "key_separator": ":",
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,64}",
    "coerce_one_of": False,
    "lenient": False,
}


class Matcher:
    """Where one completion stands in a grammar. It belongs to one sequence and is used by one thread at a time."""

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
        """Why nothing can be said any more, for people; empty while all is well."""
        return _first_line(self._state.get_error()) if self._state.is_error() else ""

    def allowed(self) -> NDArray[np.int64]:
        """The ids of the tokens that may come next, ascending; the model's ends are among them where the text matches.

        None are allowed once there is an error.
        """
        self._state.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._state.is_error():
            return np.empty(0, np.int64)
        bits = np.unpackbits(self._mask.view(np.uint8), count=self._tokens, bitorder="little")
        return np.flatnonzero(bits)

    def accept(self, token: int) -> None:
        """The token was chosen among the allowed ones."""
        self._state.consume_token(token)


class Grammars:
    """Compiles descriptions and keeps the grammars used last. Thread-safe; compiling releases the interpreter's lock.

    A compiled grammar grows while it is used: what one completion has made it compute serves the next.
    """

    def __init__(self, tokenizer: Tokenizer, tokens: int, end_tokens: Collection[int]) -> None:
        """Index the tokens: about half a second and 50 MB for 150,000 of them.

        Args:
            tokenizer: the model's.
            tokens: token ids are below this number.
            end_tokens: the model's own ends, at least one.
        """
        self._tokens = tokens
        self._library = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Vocabulary(tokenizer, tokens, end_tokens)),
            n_vocab=tokens,
            eos_token=sorted(end_tokens),
        )
        self._limits = llguidance.LLParserLimits(verbose_errors=False)
        self._compiled: OrderedDict[StructuredOutput, llguidance.LLMatcher] = OrderedDict()
        self._lock = threading.Lock()

    def matcher(self, wanted: StructuredOutput) -> Matcher:
        """Return the beginning of a description's grammar, compiled now or before.

        Raises:
            RequestError: it cannot be honoured; the message says why.
        """
        with self._lock:
            compiled = self._compiled.get(wanted)
            if compiled is not None:
                self._compiled.move_to_end(wanted)
        if compiled is None:
            compiled = self._compile(wanted)
            with self._lock:
                self._compiled[wanted] = compiled
                while len(self._compiled) > CACHED_GRAMMARS:
                    self._compiled.popitem(last=False)
        return Matcher(compiled.deep_copy(), self._tokens)

    def _compile(self, wanted: StructuredOutput) -> llguidance.LLMatcher:
        try:
            compiled = llguidance.LLMatcher(self._library, _grammar(wanted), limits=self._limits, log_level=0)
        except ValueError as error:
            raise _refusal(str(error)) from error
        if compiled.is_error():
            raise _refusal(compiled.get_error())
        # The first mask is computed here: it is where a description that nothing matches, or a very large one, shows.
        first = Matcher(compiled, self._tokens)
        if not first.allowed().size:
            raise _refusal(compiled.get_error() or "no text matches it")
        return compiled


class _Vocabulary:
    """The model's tokens as llguidance wants to have them told (`TokenizerWrapper`)."""

    def __init__(self, tokenizer: Tokenizer, tokens: int, end_tokens: Collection[int]) -> None:
        specials = tokenizer.special_tokens
        self._tokenizer = tokenizer
        self._cuts = _cuts(specials.values())
        self.eos_token_id = min(end_tokens)
        self.bos_token_id = None
        self.special_token_ids = sorted({*specials, *end_tokens})
        self.tokens = tokenizer.vocabulary(tokens)
        for token, name in specials.items():
            self.tokens[token] = name.encode()

    def __call__(self, text: str) -> list[int]:
        """Encode text that a grammar dictates; a special token's name in it is text like any other."""
        return [
            token
            for piece in self._cuts.split(text)
            for token in self._tokenizer.encode(piece, add_special_tokens=False)
        ]


def _cuts(names: Collection[str]) -> re.Pattern[str]:
    """A pattern for the places where a text is to be cut so that no piece holds one of the names."""
    places = [f"(?<={re.escape(name[0])})(?={re.escape(name[1:])})" for name in names if len(name) > 1]
    return re.compile("|".join(places) if places else r"(?!)")


def _grammar(wanted: StructuredOutput) -> str:
    """The library's own form of a description."""
    if wanted.form is Form.REGEX:
        return llguidance.LLMatcher.grammar_from_regex(wanted.text)
    if wanted.form is Form.GRAMMAR:
        return llguidance.LLMatcher.grammar_from_lark(wanted.text)
    if wanted.form is Form.CHOICE:
        texts = (json.dumps(text, ensure_ascii=False) for text in json.loads(wanted.text))
        return llguidance.LLMatcher.grammar_from_lark(f"start: {' | '.join(texts)}")
    return llguidance.LLMatcher.grammar_from_json_schema(wanted.text, overrides=_SCHEMA_OPTIONS)


def _refusal(reason: str) -> RequestError:
    return RequestError(f"{PARAM} cannot be honoured: {_first_line(reason)}", param=PARAM)


def _first_line(reason: str) -> str:
    """The library's own words without the state that follows them."""
    if reason.startswith("NoExtension"):
        return "no text matches it"
    line = " ".join(reason.partition("<")[0].split()) if reason.endswith("<non-verbose/>") else " ".join(reason.split())
    return line[:_MAX_REASON_CHARACTERS]
