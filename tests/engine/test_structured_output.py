"""Every answer that a schema was promised for validates against it, and every schema that is refused says why."""

from __future__ import annotations

import itertools
import json
import queue
import re
from dataclasses import replace

import jsonschema
import llguidance
import pytest

from appliance.engine.engine import Engine
from appliance.engine.request import Request
from appliance.errors import RequestError
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishEvent, FinishReason, TokenEvent
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.engine.schemas import HAND_WRITTEN, REFUSED, drawn
from tests.engine.toy import END, GRAMMARS, MANIFEST, SHAPE, TOKENIZER, HereGrammars, ToyRunner, allowed
from tests.refusals import refused
from tests.waiting import LIMIT_S

SCHEMAS = {**HAND_WRITTEN, **drawn(110)}
CONTEXT_TOKENS = 1500
ANSWERS_EACH = 3
# A model that chooses bytes at random would hardly ever end a string, an array or an object.
TO_AN_END = {TOKENIZER.encode(text)[0]: 4.0 for text in '"]}'}
WILD = SamplingParams(temperature=1.3, logit_bias=TO_AN_END, max_tokens=CONTEXT_TOKENS - 10)
FORMATS = jsonschema.FormatChecker()
MADE_FOR = {
    "date-time": r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    "time": r"\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    "duration": r"P(\d+W|(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?)",
    "hostname": r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S*",
}
for _name, _pattern in MADE_FOR.items():
    FORMATS.checks(_name)(lambda value, pattern=_pattern: bool(re.fullmatch(pattern, value)))


@pytest.fixture(scope="module")
def engine():
    shape = replace(SHAPE, context_tokens=CONTEXT_TOKENS)
    config = EngineConfig(slots=8, cache_bytes=30_000 * shape.cache_bytes_per_token, max_queue=2000, prefix_cache=False)
    manifest = replace(MANIFEST, task=replace(MANIFEST.task, shape=shape))
    engine = Engine(manifest, TOKENIZER, HereGrammars(), ToyRunner(8, CONTEXT_TOKENS), config)
    yield engine
    engine.close()


NAMES = (f"request-{number}" for number in itertools.count())


def submit(engine, wanted, name=None, **changes):
    """Submit a request; its id is new, because one whose last event has come may still be ending."""
    events = queue.SimpleQueue()
    name = name or next(NAMES)
    sampling = replace(WILD, structured_outputs=StructuredOutput.from_mapping(wanted), **changes)
    engine.submit(Request(name, (1, 2, 3), sampling), events.put)
    return events


def collect(events):
    """The tokens, the text and the last event."""
    tokens, text = [], ""
    while True:
        event = events.get(timeout=LIMIT_S)
        if isinstance(event, FinishEvent):
            return tokens, text, event
        assert isinstance(event, TokenEvent)
        tokens += event.token_ids
        text += event.text


@pytest.fixture(scope="module")
def answers(engine):
    """Several answers for each schema, all of them in batches with each other."""
    asked = {
        (name, seed): submit(engine, {"json": schema}, f"{name} {seed}", seed=seed)
        for name, schema in SCHEMAS.items()
        for seed in range(ANSWERS_EACH)
    }
    return {key: collect(events) for key, events in asked.items()}


def test_there_are_more_than_200_schemas():
    assert len(SCHEMAS) >= 200


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_answer_validates_against_its_schema(answers, name):
    kind = jsonschema.validators.validator_for(SCHEMAS[name], default=jsonschema.Draft202012Validator)
    validator = kind(SCHEMAS[name], format_checker=FORMATS)
    for seed in range(ANSWERS_EACH):
        tokens, text, finish = answers[name, seed]
        if finish.reason is FinishReason.LENGTH:
            check_beginning(SCHEMAS[name], tokens)
            continue
        assert finish.reason is FinishReason.STOP, finish.error
        assert finish.stop_reason is None
        validator.validate(json.loads(text, strict=True))


def test_hardly_any_answer_is_cut_by_max_tokens(answers):
    cut = [key for key, (_, _, finish) in answers.items() if finish.reason is FinishReason.LENGTH]
    assert len(cut) <= len(answers) // 50, cut


def check_beginning(schema, tokens):
    """A cut answer is the beginning of one that would match."""
    matcher = GRAMMARS.matcher(StructuredOutput.from_mapping({"json": schema}))
    for token in tokens:
        assert token in allowed(matcher)
        matcher.accept(token)


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_cannot_be_honoured_is_refused_and_says_why(name):
    schema, reason = REFUSED[name]
    with pytest.raises(RequestError, match=re.escape(reason)) as caught:
        GRAMMARS.matcher(StructuredOutput.from_mapping({"json": schema}))
    assert caught.value.param == "structured_outputs"
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500


def test_a_refused_schema_takes_no_place_in_the_engine(engine):
    overlapping = {"type": "object", "patternProperties": {"^a": {"type": "integer"}, "a$": {"type": "string"}}}
    _, _, finish = collect(submit(engine, {"json": overlapping}))
    assert isinstance(finish.error, RequestError)
    assert "cannot be enforced" in finish.error.message
    assert engine.stats().queue_length == 0
    collect(submit(engine, {"json": {"type": "boolean"}}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0.0},
        {"temperature": 50.0},
        {"top_k": 1},
        {"top_k": 3},
        {"top_p": 0.1},
        {"min_p": 0.9},
        {"repetition_penalty": 3.0, "presence_penalty": 2.0, "frequency_penalty": -2.0},
        {"logit_bias": {TOKENIZER.encode("x")[0]: 100.0, END: 100.0}},
        {"min_tokens": 100},
        {"ignore_eos": True},
        {"min_tokens": 100, "ignore_eos": True},
        {"stop_token_ids": (TOKENIZER.encode("x")[0],)},
        {"stop_token_ids": (TOKENIZER.encode("}")[0],), "min_tokens": 200},
        {"logprobs": 5},
    ],
)
def test_no_sampling_setting_gets_round_the_grammar(engine, changes):
    schema = HAND_WRITTEN["person"] | {
        "properties": {"name": {"enum": ["ann", "bob"]}, "age": {"type": "integer", "maximum": 99, "minimum": 0}}
    }
    for seed in range(5):
        _, text, finish = collect(submit(engine, {"json": schema}, seed=seed, **changes))
        assert finish.reason is FinishReason.STOP
        jsonschema.validate(json.loads(text), schema)


def test_where_more_is_possible_min_tokens_and_ignore_eos_keep_the_end_away(engine):
    held, _, _ = collect(submit(engine, {"regex": "a*"}, min_tokens=40, logit_bias={END: 100.0}))
    assert len(held) == 41  # forty, and then the end at once
    ignored, text, finish = collect(submit(engine, {"regex": "a{0,60}"}, ignore_eos=True, logit_bias={END: 100.0}))
    assert (text, len(ignored), finish.reason) == ("a" * 60, 60, FinishReason.STOP)


def test_the_grammars_end_needs_no_end_token_and_beats_max_tokens(engine):
    tokens, text, finish = collect(submit(engine, {"choice": ["yes"]}, max_tokens=3))
    assert (text, len(tokens), finish.reason, finish.stop_reason) == ("yes", 3, FinishReason.STOP, None)


def test_max_tokens_cuts_an_answer_with_length(engine):
    _, text, finish = collect(submit(engine, {"choice": ["yes"]}, max_tokens=2))
    assert (text, finish.reason) == ("ye", FinishReason.LENGTH)


def test_a_stop_string_ends_an_answer_in_the_middle_and_is_named(engine):
    _, text, finish = collect(submit(engine, {"choice": ["yes"]}, stop=("e",)))
    assert (text, finish.reason, finish.stop_reason) == ("y", FinishReason.STOP, "e")


def test_log_probabilities_stay_those_of_the_raw_logits(engine):
    """The likeliest tokens are those of the model, whether the grammar allows them or not."""
    events = submit(engine, {"regex": "b"}, logprobs=3, logit_bias={})
    free = queue.SimpleQueue()
    engine.submit(Request("free", (1, 2, 3), SamplingParams(temperature=0.0, max_tokens=1, logprobs=3)), free.put)
    assert events.get(timeout=LIMIT_S).logprobs[0].top == free.get(timeout=LIMIT_S).logprobs[0].top


@pytest.mark.parametrize(
    ("wanted", "pattern"),
    [
        ({"regex": "(ab|cd){2,5}x?"}, r"(ab|cd){2,5}x?"),
        ({"regex": "[0-9]{3}-[a-z]+;"}, r"[0-9]{3}-[a-z]+;"),
        ({"regex": "é{1,3}"}, "é{1,3}"),
        ({"choice": ["yes", "no", "no way", 'a "b"\n', "é", "\\"]}, r'yes|no|no way|a "b"\n|é|\\'),
        ({"choice": ["", "a"]}, "a?"),
        ({"grammar": 'start: "[" item ("," item)* "]"\nitem: /[a-c]{1,3}/'}, r"\[[a-c]{1,3}(,[a-c]{1,3})*\]"),
        ({"grammar": 'start: "<call>" %json {"type": "boolean"} "</call>"'}, "<call>(true|false)</call>"),
        ({"json_object": True}, r"(?s)\{.*\}"),
        ({"json": '{"type": "boolean"}'}, "true|false"),
        ({"json": "true"}, "(?s).+"),
        ({"json": True}, "(?s).+"),
        ({"regex": "a+", "json": None}, "a+"),
        ('{"choice": ["a", "b"]}', "a|b"),
    ],
)
def test_every_form_of_description_is_honoured(engine, wanted, pattern):
    for seed in range(3):
        _, text, finish = collect(submit(engine, wanted, seed=seed))
        assert finish.reason is FinishReason.STOP
        assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"regex": "("}, "regex"),
        ({"regex": "(?=a)"}, "look-ahead"),
        ({"grammar": "nonsense )("}, "Expected"),
        ({"grammar": ""}, "Empty"),
        ({"grammar": "start: start start"}, "no text"),
        ({"choice": []}, "at least one string"),
        ({"choice": [1]}, "at least one string"),
        ({"choice": "yes"}, "at least one string"),
        ({"json_object": False}, "can only be true"),
        ({"regex": 5}, "must be a string"),
        ({"regex": "a", "choice": ["b"]}, "exactly one"),
        ({}, "exactly one"),
        ([], "must be an object"),
        ("json", "not JSON"),
        ('["json"]', "must be an object"),
        ({"structural_tag": "x"}, "structural_tag"),
        ({"json": {"const": float("nan")}}, "cannot be enforced"),
        ({"regex": "a{1000000}"}, "too many"),
        ({"choice": ["a\u00ad"]}, "tokens cannot produce"),
        ({"regex": "\ud800"}, "surrogates"),
        ({"grammar": 'start: "\ud800"'}, "surrogates"),
    ],
)
def test_a_description_that_cannot_be_honoured_is_refused_by_name(wanted, reason):
    with pytest.raises(RequestError, match=re.escape(reason)) as caught:
        GRAMMARS.matcher(SamplingParams.from_mapping({"structured_outputs": wanted}).structured_outputs)
    assert caught.value.param == "structured_outputs"


def test_streams_without_a_grammar_are_what_they_were_beside_one_with(engine):
    plain = SamplingParams(temperature=0.8, seed=3, max_tokens=40)

    def run(companions):
        beside = [submit(engine, {"json": {}}, f"beside {index}", seed=index) for index in range(companions)]
        events = queue.SimpleQueue()
        engine.submit(Request("plain", (7, 8), plain), events.put)
        for each in beside:
            collect(each)
        return collect(events)[0]

    assert run(0) == run(5)


def test_the_same_seed_gives_the_same_answer_alone_and_in_a_batch(engine):
    alone, _, _ = collect(submit(engine, {"json": HAND_WRITTEN["person"]}, seed=4))
    batch = [submit(engine, {"json": HAND_WRITTEN["person"]}, str(index), seed=4) for index in range(6)]
    assert all(collect(events)[0] == alone for events in batch)


def test_a_text_that_the_models_tokens_cannot_write_ends_with_an_error(engine):
    assert TOKENIZER.token_bytes(END) == b"\xad"  # so nothing writes the second byte of a soft hyphen
    _, text, finish = collect(submit(engine, {"choice": ["not at once\u00ad"]}))
    assert (text, finish.reason) == ("not at once", FinishReason.ERROR)
    assert isinstance(finish.error, RequestError)
    assert finish.error.param == "structured_outputs"


def test_a_grammar_that_outgrows_its_limits_ends_with_an_error_and_the_others_go_on(engine, monkeypatch):
    tight = llguidance.LLParserLimits(max_lexer_states=400, verbose_errors=False)
    monkeypatch.setattr(GRAMMARS, "_limits", tight)
    large = submit(engine, {"regex": "[a-z]{500}"}, "large")
    beside = submit(engine, {"json": HAND_WRITTEN["person"]}, "beside")
    _, text, finish = collect(large)
    assert finish.reason is FinishReason.ERROR
    assert "too many states" in finish.error.message
    assert re.fullmatch("[a-z]+", text)
    assert collect(beside)[2].reason is FinishReason.STOP


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('%json {"allOf": [{"type": "integer"}, {"type": "string"}]}', "nsatisfiable"),
        ('%json {"uniqueItems": true}', "uniqueItems"),
        ("/(?=a)/", "look-ahead"),
    ],
)
def test_a_refused_grammar_is_named_by_its_rule_and_not_quoted(bad, reason):
    grammar = f'start: good | bad_one\ngood: %json {{"const": "secret of the first"}}\nbad_one: {bad}\nlast: "b"'
    with refused(RequestError, "bad_one") as caught:
        GRAMMARS.matcher(StructuredOutput.from_mapping({"grammar": grammar}))
    assert reason in caught.value.message
    assert "secret" not in caught.value.message
    assert "%json" not in caught.value.message
