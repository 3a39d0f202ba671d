"""A runner whose every answer depends on the whole content of a slot, so that any mistake with the cache shows."""

import zlib
from dataclasses import replace

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from appliance.artefact import Generation, Manifest, ModelShape, TextGeneration
from appliance.engine.exactness import LARGEST_TILE
from appliance.engine.grammar import Grammars
from appliance.engine.runner import MAX_DRAFT_TOKENS, MAX_SCORED_ROWS, MAX_VERIFIED_ROWS
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import EngineError, RequestError
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishEvent, PromptEvent, TokenEvent
from appliance.inference.structured_output import PARAM
from tests.engine.host_logits import HostLogits

END = 255
TOKENS = 256
VOCABULARY = 260
GARBAGE = -7
SHAPE = ModelShape(layers=1, kv_heads=1, head_dim=1, vocabulary=VOCABULARY, tokens=TOKENS, context_tokens=96)
MANIFEST = Manifest(
    model="toy",
    target="cpu",
    preset="toy",
    architecture="toy",
    task=TextGeneration(SHAPE, Generation(eos_token_ids=(END,))),
    files=(),
    inputs={},
)
CONFIG = EngineConfig(slots=3, cache_bytes=300 * SHAPE.cache_bytes_per_token, max_queue=64)
CONFIG = replace(CONFIG, prefill_chunk_tokens=16, interleaved_chunk_tokens=6)


def logits_of(rows) -> np.ndarray:
    """Pseudo-random logits, a pure function of all rows. The columns that no token has are the greatest."""
    generator = np.random.default_rng(zlib.crc32(np.asarray(rows, np.int64).tobytes()))
    logits = generator.standard_normal(VOCABULARY).astype(np.float32)
    logits[TOKENS:] = 99.0
    logits[END] += 1.0
    return logits


def prompt_rows(tokens, start):
    """What prefill writes; a row alone and rows left over from tiles differ, as real kernels do in the last bits."""
    whole = start + len(tokens) - len(tokens) % LARGEST_TILE
    kinds = [1 if len(tokens) == 1 else 3 * (at >= whole) for at in range(start, start + len(tokens))]
    return [(token * 1000 + start + i) * 4 + kind for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))]


def completion_row(token, position):
    """What decoding writes."""
    return (token * 1000 + position) * 4 + 2


def repeating_logits_of(rows) -> np.ndarray:
    """Those of `logits_of`, but a token that the last token alone determines is usually the likeliest."""
    logits = logits_of(rows)
    logits[(int(rows[-1]) // 4000 * 3 + 1) % 11] += 3.5
    return logits


def greedy_reference(prompt, max_tokens, *, exact=False):
    """The tokens that a single sequence on a fresh machine gets, up to and including the end token."""
    rows = exact_rows(prompt, 0) if exact else prompt_rows(prompt, 0)
    completion = []
    while True:
        logits = repeating_logits_of(rows) if exact else logits_of(rows)
        completion.append(int(logits[:TOKENS].argmax()))
        if completion[-1] == END or len(completion) == max_tokens:
            return completion
        rows.append(completion_row(completion[-1], len(rows)))


def scores_reference(prompt):
    """The log-probability and the rank of each token of a prompt but the first, on a fresh machine."""
    rows, found = prompt_rows(prompt, 0), []
    for end, token in enumerate(prompt[1:], start=1):
        logits = logits_of(rows[:end])[:TOKENS].astype(np.float64)
        logprobs = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
        found.append((float(logprobs[token]), int((logits > logits[token]).sum()) + 1))
    return found


def exact_rows(tokens, start):
    """What an exact runner writes for a prompt: the rows of a completion."""
    return [completion_row(token, start + i) for i, token in enumerate(tokens)]


class ToyRunner:
    """See `Runner`. `faults` names the steps (counted from 0) that raise."""

    exact = None
    prompt_rows = staticmethod(prompt_rows)
    logits_of = staticmethod(logits_of)

    def __init__(self, slots: int, capacity: int = SHAPE.context_tokens, faults=()) -> None:
        self.cache = np.full((slots, capacity), GARBAGE, np.int64)
        self.faults = frozenset(faults)
        self.steps = 0
        self.chunks = []
        self.scored = []

    @property
    def scorer(self):
        return self

    def prefill(self, slot, start, tokens):
        self._count()
        self.chunks.append((slot, start, len(tokens)))
        self.cache[slot, start : start + len(tokens)] = self.prompt_rows(tokens, start)
        return HostLogits(self.logits_of(self.cache[slot, : start + len(tokens)])[None])

    def score(self, slot, start, tokens):
        assert len(tokens) <= MAX_SCORED_ROWS
        self.prefill(slot, start, tokens)
        self.scored.append(self.chunks.pop())
        ends = range(start + 1, start + len(tokens) + 1)
        return HostLogits(np.stack([self.logits_of(self.cache[slot, :end]) for end in ends]))

    def decode(self, tokens, lengths):
        self._count()
        for slot, (token, length) in enumerate(zip(tokens, lengths, strict=True)):
            self.cache[slot, length] = completion_row(token, length)
        rows = [self.logits_of(self.cache[slot, : length + 1]) for slot, length in enumerate(lengths)]
        return HostLogits(np.stack(rows))

    def copy(self, source, target, rows):
        self.cache[target, :rows] = self.cache[source, :rows]

    def swap(self, first, first_rows, second, second_rows):
        kept = self.cache[second, :second_rows].copy()
        self.cache[second, :first_rows] = self.cache[first, :first_rows]
        self.cache[first, :second_rows] = kept

    def release(self, slot, keep_rows):
        self.cache[slot, keep_rows:] = GARBAGE

    def _count(self):
        self.steps += 1
        if self.steps - 1 in self.faults:
            raise EngineError("the toy broke")


class ExactToyRunner(ToyRunner):
    """See `ExactRunner`. A step spoils the rows behind the tokens of each slot. `verified` has each step's tokens."""

    prompt_rows = staticmethod(exact_rows)
    logits_of = staticmethod(repeating_logits_of)

    def __init__(self, slots: int, capacity: int = SHAPE.context_tokens, faults=()) -> None:
        super().__init__(slots, capacity + MAX_DRAFT_TOKENS, faults)
        self.verified = []

    @property
    def exact(self):
        return self

    def verify(self, tokens, lengths):
        self._count()
        longest = max(map(len, tokens))
        assert 1 <= min(map(len, tokens)) <= longest <= 1 + MAX_DRAFT_TOKENS
        assert len(tokens) * longest <= MAX_VERIFIED_ROWS
        self.verified.append([tuple(each) for each in tokens])
        rows = []
        for slot, (each, length) in enumerate(zip(tokens, lengths, strict=True)):
            self.cache[slot, length : length + longest] = GARBAGE
            self.cache[slot, length : length + len(each)] = exact_rows(each, length)
            rows += [self.logits_of(self.cache[slot, : length + i + 1]) for i in range(len(each))]
        return HostLogits(np.stack(rows))


def toy_tokenizer() -> Tokenizer:
    """Byte-level: token i is the i-th character of the alphabet, so ids and text convert one to one."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend)


TOKENIZER = toy_tokenizer()
GRAMMARS = Grammars(TOKENIZER, TOKENS, (END,))


class Here:
    """A constraint that is computed at once, in this process. See `Constraint`."""

    def __init__(self, wanted):
        self.error = None
        self.is_complete = False
        self.is_ready = True
        self._wanted = wanted
        self._matcher = self._forbidden = None

    def open(self):
        try:
            self._matcher = GRAMMARS.matcher(self._wanted)
            self._forbidden = self._matcher.forbidden()
        except RequestError as error:
            self.error = error

    def forbidden(self):
        return self._forbidden.copy()

    def accept(self, token):
        self._matcher.accept(token)
        self.is_complete = self._matcher.is_complete
        self._forbidden = self._matcher.forbidden()
        if self._forbidden.all():
            self.error = RequestError(f"{PARAM}: {self._matcher.error}", param=PARAM)

    def close(self):
        self._matcher = None

    def fileno(self):
        raise AssertionError("it is always ready")


class HereGrammars:
    """See `ConstraintSource`."""

    def matcher(self, wanted):
        return Here(wanted)

    def close(self):
        pass


def allowed(matcher):
    """The ids of the tokens that may come next, ascending."""
    return np.flatnonzero(~matcher.forbidden())


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    @property
    def tokens(self):
        return [token for event in self.events if isinstance(event, TokenEvent) for token in event.token_ids]

    @property
    def scores(self):
        return [score for event in self.events if isinstance(event, PromptEvent) for score in event.logprobs]

    @property
    def text(self):
        return "".join(event.text for event in self.events if isinstance(event, TokenEvent))

    @property
    def finishes(self):
        return [event for event in self.events if isinstance(event, FinishEvent)]

    @property
    def finish(self):
        (event,) = self.finishes
        assert self.events[-1] is event
        return event
