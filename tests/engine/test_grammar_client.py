"""Whatever one grammar costs, its own process pays, and is ended for it; nobody else waits, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from multiprocessing.connection import wait

import psutil
import pytest

from appliance.engine import grammar_budget as budget
from appliance.engine.engine import Engine
from appliance.engine.grammar_client import GrammarHost
from appliance.engine.grammar_wire import Kind, Reply, number_from_bytes, number_to_bytes
from appliance.engine.request import Request
from appliance.errors import EngineError, RequestError
from appliance.inference.events import FinishReason
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.engine.toy import CONFIG, END, MANIFEST, TOKENIZER, TOKENS, Recorder, ToyRunner, allowed
from tests.waiting import LIMIT_S, wait_until

NOISE = {"allOf": [{"type": "string", "pattern": f".*{chr(97 + n)}.{{10}}b.*"} for n in range(20)]}
MULTIPLE = {"type": "integer", "multipleOf": 999983}
AMBIGUOUS = 'start: e\ne: e "+" e | e e | /[a-z]/'


def wanted(**form):
    return StructuredOutput.from_mapping(form)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    TOKENIZER._library.save(str(file))
    made = GrammarHost(file, TOKENS, (END,))
    yield made
    made.close()


def opened(host, **form):
    matcher = host.matcher(wanted(**form))
    matcher.open()
    return matcher


def answer(matcher):
    """Wait for the answer; fails rather than waits for ever."""
    while not matcher.is_ready:
        assert wait([matcher.fileno()], LIMIT_S)
    return matcher


def processes(host):
    return psutil.Process(host._running.pid).children() if host._running else []


def test_a_remote_matcher_allows_what_the_description_says(host):
    matcher = answer(opened(host, regex="ab?c"))
    for character in "abc":
        (token,) = TOKENIZER.encode(character)
        assert token in allowed(matcher)
        matcher.accept(token)
        answer(matcher)
    assert matcher.is_complete
    assert matcher.error is None
    matcher.close()


def test_what_cannot_be_honoured_is_a_refusal_and_ends_its_process(host):
    matcher = answer(opened(host, regex="("))
    assert isinstance(matcher.error, RequestError)
    assert matcher.error.param == "structured_outputs"
    matcher.close()
    wait_until(lambda: not processes(host))


@pytest.mark.parametrize("schema", [NOISE, MULTIPLE], ids=["patterns", "multiple"])
def test_a_schema_that_takes_too_long_to_compile_is_refused_by_the_limit_it_passed(host, schema):
    matcher = answer(opened(host, json=schema))
    assert isinstance(matcher.error, RequestError)
    assert "compiling it takes more than" in matcher.error.message
    matcher.close()
    wait_until(lambda: not processes(host))


def test_while_one_is_compiled_others_are_compiled_and_used(host):
    bomb = opened(host, json=NOISE)
    for _ in range(3):
        other = answer(opened(host, regex="a+"))
        assert other.error is None
        other.close()
    assert not bomb.is_ready
    bomb.close()
    wait_until(lambda: not processes(host))


def test_a_compile_ends_with_the_client_who_left(host):
    bomb = opened(host, json=NOISE)
    wait_until(lambda: processes(host))
    bomb.close()
    wait_until(lambda: not processes(host))
    next_one = answer(opened(host, regex="a"))
    assert next_one.error is None
    next_one.close()


def test_a_process_that_crashes_ends_its_own_request_alone(host):
    first, second = answer(opened(host, regex="a+")), answer(opened(host, regex="b+"))
    victim = min(processes(host), key=lambda process: process.create_time())
    os.kill(victim.pid, signal.SIGKILL)
    for matcher, character in ((first, "a"), (second, "b")):
        matcher.accept(TOKENIZER.encode(character)[0])
        answer(matcher)
    errors = [matcher.error for matcher in (first, second)]
    assert sum(error is None for error in errors) == 1
    assert isinstance(next(error for error in errors if error is not None), EngineError)
    first.close()
    second.close()


def test_the_host_is_started_again_when_it_has_ended(host):
    matcher = answer(opened(host, regex="a+"))
    host._running.kill()
    host._running.wait()
    matcher.accept(TOKENIZER.encode("a")[0])
    assert isinstance(answer(matcher).error, EngineError)
    matcher.close()
    next_one = answer(opened(host, regex="a+"))
    assert next_one.error is None
    next_one.close()


def test_closing_the_host_ends_what_is_being_compiled(tmp_path):
    TOKENIZER._library.save(str(tmp_path / "tokenizer.json"))
    made = GrammarHost(tmp_path / "tokenizer.json", TOKENS, (END,))
    bomb = opened(made, json=NOISE)
    wait_until(lambda: processes(made))
    children = processes(made)
    made.close()
    wait_until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    bomb.close()


def test_a_host_that_does_not_start_is_an_error_of_the_request(tmp_path):
    made = GrammarHost(tmp_path / "absent.json", TOKENS, (END,))
    matcher = answer(opened(made, regex="a+"))
    assert isinstance(matcher.error, EngineError)
    assert "start" in matcher.error.message
    matcher.close()
    made.close()


def test_the_first_grammar_starts_the_host(tmp_path):
    TOKENIZER._library.save(str(tmp_path / "tokenizer.json"))
    made = GrammarHost(tmp_path / "tokenizer.json", TOKENS, (END,))
    before = psutil.Process().children()
    matcher = made.matcher(wanted(regex="a+"))
    assert psutil.Process().children() == before
    matcher.open()
    assert answer(matcher).error is None
    matcher.close()
    made.close()


@pytest.mark.parametrize(
    ("status", "is_compiled", "kind", "limit"),
    [
        (-signal.SIGPROF, False, RequestError, f"{budget.COMPILE_CPU_S:g} s of processor time"),
        (-signal.SIGPROF, True, RequestError, f"{budget.STEP_CPU_S:g} s of processor time"),
        (-signal.SIGALRM, False, RequestError, f"{budget.WALL_S:g} s"),
        (-signal.SIGABRT, True, RequestError, f"{budget.MEMORY_BYTES >> 20} MiB"),
        (-signal.SIGSEGV, False, RequestError, "nested"),
        (-signal.SIGKILL, False, EngineError, "ended"),
        (1, True, EngineError, "ended"),
    ],
)
def test_every_end_of_a_process_has_an_error_that_names_the_limit(status, is_compiled, kind, limit):
    error = budget.why_ended(status, is_compiled=is_compiled)
    assert isinstance(error, kind)
    assert limit in error.message


OUT_OF_MEMORY = """
import json, socket, sys
from appliance.engine import grammar_budget
from appliance.engine.grammar_process import serve
from appliance.inference.structured_output import StructuredOutput
from tests.engine.toy import GRAMMARS
grammar_budget.MEMORY_BYTES, grammar_budget.COMPILE_CPU_S, grammar_budget.WALL_S = 40 << 20, 600.0, 600.0
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
serve(theirs, StructuredOutput.from_mapping({"json": json.loads(sys.argv[1])}), GRAMMARS)
"""


def test_the_system_ends_a_process_that_takes_too_much_memory():
    ran = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY, json.dumps(NOISE)], capture_output=True, check=False)
    assert ran.returncode == -signal.SIGABRT, ran.stderr


@pytest.mark.parametrize("kind", list(Kind))
def test_replies_survive_their_way(kind):
    reply = Reply(kind, b"content")
    assert Reply.from_bytes(reply.to_bytes()) == reply


@pytest.mark.parametrize("number", [0, 151_935, -9])
def test_numbers_survive_their_way(number):
    assert number_from_bytes(number_to_bytes(number)) == number


@pytest.fixture
def engine(tmp_path):
    file = tmp_path / "tokenizer.json"
    TOKENIZER._library.save(str(file))
    grammars = GrammarHost(file, TOKENS, (END,))
    made = Engine(MANIFEST, TOKENIZER, grammars, ToyRunner(CONFIG.slots * 2), replace(CONFIG, max_queue=64))
    made.grammar_processes = lambda: processes(grammars)
    yield made
    made.close()
    assert not grammars._running.poll()


def submit(engine, name, principal, **options):
    sink = Recorder()
    sampling = SamplingParams(**{"temperature": 0.0, "max_tokens": 20, "ignore_eos": True, **options})
    engine.submit(Request(name, (1, 2, 3), sampling, principal=principal), sink)
    return sink


@pytest.mark.parametrize("bomb", [{"json": NOISE}, {"json": MULTIPLE}, {"regex": "(a|b)*a(a|b){12}.*" * 12}])
def test_other_principals_come_and_go_while_a_bomb_is_compiled(engine, bomb):
    attack = [submit(engine, f"bomb {n}", "mallory", structured_outputs=wanted(**bomb)) for n in range(4)]
    for number in range(3):
        plain = submit(engine, f"plain {number}", "alice")
        bound = submit(engine, f"bound {number}", "alice", structured_outputs=wanted(regex="[ab]{50}"))
        wait_until(lambda plain=plain, bound=bound: plain.finishes and bound.finishes)
        assert (len(plain.tokens), plain.finish.reason) == (20, FinishReason.LENGTH)
        assert (len(bound.tokens), bound.finish.reason) == (20, FinishReason.LENGTH)
    assert len(engine.grammar_processes()) <= 2 + 1  # those of a principal that compile, and one that has just ended
    for number in range(4):
        engine.cancel(f"bomb {number}")
    wait_until(lambda: all(sink.finishes for sink in attack))
    wait_until(lambda: not engine.grammar_processes())


def test_a_grammar_whose_masks_grow_dear_ends_alone_with_an_error_that_names_why(engine):
    attack = submit(engine, "bomb", "mallory", structured_outputs=wanted(grammar=AMBIGUOUS), max_tokens=90)
    plain = submit(engine, "plain", "alice", max_tokens=90)
    wait_until(lambda: plain.finishes)
    assert plain.finish.reason is FinishReason.LENGTH
    engine.cancel("bomb")
    wait_until(lambda: attack.finishes)


def test_an_engine_that_closes_waits_for_no_grammar(engine):
    attack = submit(engine, "bomb", "mallory", structured_outputs=wanted(json=NOISE))
    wait_until(engine.grammar_processes)
    engine.close()
    assert attack.finish.error is not None
