"""Grammars that are compiled while the others go on: a late answer holds nobody up and changes no token."""

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.engine.preparation import MAX_COMPILING_OF_A_PRINCIPAL
from appliance.inference.events import FinishReason
from appliance.inference.structured_output import StructuredOutput
from tests.engine.core_bench import LIMITS, Bench
from tests.engine.toy import Here


class Late(Here):
    """A constraint that answers when it is told to."""

    def __init__(self, wanted):
        super().__init__(wanted)
        self.is_ready = False
        self.read_end, self.write_end = os.pipe()

    def accept(self, token):
        super().accept(token)
        self.is_ready = False

    def fileno(self):
        return self.read_end

    def close(self):
        super().close()
        os.close(self.read_end)
        os.close(self.write_end)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 3), st.booleans())
def test_whenever_a_grammar_answers_every_answer_is_the_one_of_a_prompt_grammar(answers, beside, tight):
    """Late answers hold nobody up, neither while they are waited for nor when a sequence is set back meanwhile."""
    limits = replace(LIMITS, budget_rows=96) if tight else LIMITS
    wanted = StructuredOutput.from_mapping({"regex": "[a-f]{20}x"})

    def run(late):
        bench = Bench(limits)
        constraint = bench.add_bound("bound", (1, 2, 3), wanted, Late if late else Here)
        for number in range(beside):
            bench.add(f"plain {number}", range(number, 30 + number), max_tokens=25)
        for answer in answers if late else ():
            constraint.is_ready = constraint.is_ready or answer
            bench.step()
        while not bench.core.is_idle:
            constraint.is_ready = True
            bench.step()
        return {name: (sink.tokens, sink.finish.reason) for name, sink in bench.sinks.items()}

    assert run(late=True) == run(late=False)


def test_while_a_grammar_has_not_answered_the_others_go_on_and_it_can_be_cancelled():
    bench = Bench()
    constraint = bench.add_bound("bound", (1, 2, 3), StructuredOutput.from_mapping({"regex": "[a-f]*"}), Late)
    plain = bench.add("plain", (4, 5), max_tokens=6, ignore_eos=True)
    while not plain.finishes:
        bench.step()
    assert bench.core.queue_length == 1
    constraint.is_ready = True
    bench.step()
    assert bench.core.queue_length == 0
    assert bench.sinks["bound"].tokens == []  # chosen, and not certain yet
    bench.step(cancelled=["bound"])
    assert bench.sinks["bound"].finish.reason is FinishReason.CANCELLED
    assert bench.core.is_idle


@pytest.mark.parametrize("computed", [1, 2, 5])
def test_a_sequence_that_moves_while_its_grammar_has_not_answered_keeps_its_last_row(computed):
    wanted = StructuredOutput.from_mapping({"regex": "[a-f]{20}x"})

    def run(late):
        bench = Bench(replace(LIMITS, budget_rows=1000))
        bench.add("first", (9, 8, 7), max_tokens=60, ignore_eos=True)
        constraint = bench.add_bound("bound", (1, 2, 3), wanted, Late if late else Here)
        while len(bench.sinks["bound"].tokens) < computed:
            constraint.is_ready = True
            bench.step()
        while late and constraint.is_ready:
            bench.step()
        # The bound sequence takes the slot of the first, and its grammar answers before the next step.
        constraint.is_ready = True
        bench.step(cancelled=["first"])
        while not bench.core.is_idle:
            constraint.is_ready = True
            bench.step()
        return bench.sinks["bound"].tokens

    assert run(late=True) == run(late=False)


def test_a_deadline_ends_a_request_whose_grammar_is_still_compiled():
    bench = Bench()
    bench.add_bound("bound", (1,), StructuredOutput.from_mapping({"regex": "a"}), Late, deadline=2.5)
    for _ in range(3):
        bench.step()
    assert bench.sinks["bound"].finish.reason is FinishReason.DEADLINE
    assert bench.core.is_idle


def test_a_principal_compiles_few_grammars_at_a_time_and_keeps_no_other_waiting():
    bench = Bench()
    wanted = StructuredOutput.from_mapping({"regex": "[ab]{3}"})
    opened = []

    class Counted(Late):
        def open(self):
            super().open()
            opened.append(self)

    for number in range(10):
        bench.add_bound(f"mallory {number}", (1,), wanted, Counted, principal="mallory")
    alice = bench.add_bound("alice", (1,), wanted, Counted, principal="alice")
    bench.step()
    assert len(opened) == MAX_COMPILING_OF_A_PRINCIPAL + 1
    assert alice in opened
    while not bench.sinks["alice"].finishes:
        alice.is_ready = True
        bench.step()
    assert len(opened) == MAX_COMPILING_OF_A_PRINCIPAL + 1
    while not bench.core.is_idle:
        for constraint in opened:
            constraint.is_ready = True
        bench.step()
    assert len(opened) == 11
