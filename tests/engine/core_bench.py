"""A core on the toy runner, and the requests and limits that tests try on it."""

from hypothesis import strategies as st

from appliance.engine.core import EngineCore
from appliance.engine.request import Request
from appliance.engine.scheduler import Scheduler, SchedulerLimits
from appliance.engine.sequence import Sequence, Status
from appliance.engine.stream import Stream
from appliance.inference.sampling import SamplingParams
from tests.engine.toy import END, TOKENIZER, TOKENS, Here, Recorder, ToyRunner

LIMITS = SchedulerLimits(max_running=3, budget_rows=120, prefill_chunk=16, interleaved_chunk=6, keep_prefixes=True)


class Bench:
    """A core on the toy runner with a clock that ticks once a step, and every invariant checked after each."""

    def __init__(self, limits=LIMITS, faults=(), kind=ToyRunner, speculation=False):
        self.limits = limits
        self.allowed = limits.max_running
        self.now = 0.0
        self.finished = []
        self.runner = kind(limits.slots, faults=faults)
        self.core = EngineCore(
            self.runner,
            Scheduler(limits, share_completions=self.runner.exact is not None),
            tokens=TOKENS,
            clock=lambda: self.now,
            on_finish=self.finished.append,
            allowance=lambda: self.allowed,
            speculation=speculation,
        )
        self.sinks = {}
        self.sequences = {}

    def add(self, name, prompt, **options):
        self._add(name, prompt, None, **options)
        return self.sinks[name]

    def add_bound(self, name, prompt, wanted, kind=Here, **options):
        """Add a request under a grammar; returns its constraint."""
        constraint = kind(wanted)
        self._add(name, prompt, constraint, structured_outputs=wanted, max_tokens=30, **options)
        return constraint

    def _add(self, name, prompt, constraint, **options):
        asked = {name: options.pop(name) for name in ("principal", "adapter", "deadline") if name in options}
        sampling = SamplingParams(**{"temperature": 0.0, "max_tokens": 8, **options})
        request = Request(name, tuple(prompt), sampling, **asked)
        self.sinks[name] = Recorder()
        sequence = Sequence(request, order=len(self.sinks), max_tokens=sampling.max_tokens, now=self.now)
        self.sequences[name] = sequence
        wanted = sampling.structured_outputs
        matcher = constraint or (None if wanted is None else Here(wanted))
        self.core.add(Stream(sequence, self.sinks[name], TOKENIZER, (END,), matcher))

    @property
    def preparing(self):
        return {sequence for sequence in self.sequences.values() if sequence in self.core._preparation}

    def step(self, cancelled=()):
        self.now += 1.0
        self.core.sweep(set(cancelled))
        self.check()
        if not self.core.is_idle:
            self.core.step()
        self.check()

    def run(self, most=5000):
        while not self.core.is_idle:
            assert most > 0, "a sequence starves"
            most -= 1
            self.step()

    def check(self):
        scheduler = self.core.scheduler
        held = scheduler.slots.held
        running = scheduler.running
        assert len(running) <= self.limits.max_running
        assert scheduler.slots.used_rows <= self.limits.budget_rows
        assert scheduler.slots.used_rows >= sum(s.reserved_rows for s in held if s is not None)
        for slot, sequence in enumerate(held):
            assert sequence is None or (sequence.slot == slot and held.count(sequence) == 1)
        for sequence in running:
            assert sequence.status in {Status.PREFILL, Status.DECODE, Status.HELD}
            assert sequence.slot is None or held[sequence.slot] is sequence
        decoding = held[: scheduler.slots.decoding]
        assert all(sequence.status is Status.DECODE for sequence in decoding)
        live = set(scheduler.live) | self.preparing
        assert live == {s for s in self.sequences.values() if s.status is not Status.FINISHED}
        assert {s.request.request_id for s in live} == set(self.sinks) - set(self.finished)
        assert len(self.finished) == len(set(self.finished))


def prompts():
    """Prompts that share beginnings often, so that the prefix cache has something to get wrong."""
    trunk = st.sampled_from([tuple(range(1, 41)), tuple(range(60, 100)), ()])
    cut = st.tuples(trunk, st.integers(0, 40)).map(lambda pair: pair[0][: pair[1]])
    tail = st.lists(st.integers(0, TOKENS - 1), min_size=1, max_size=20).map(tuple)
    return st.tuples(cut, tail).map(lambda pair: pair[0] + pair[1])


ALL_LIMITS = st.builds(
    SchedulerLimits,
    max_running=st.integers(1, 4),
    budget_rows=st.sampled_from([96, 130, 1000]),
    prefill_chunk=st.integers(1, 40),
    interleaved_chunk=st.integers(1, 20),
    keep_prefixes=st.booleans(),
)
