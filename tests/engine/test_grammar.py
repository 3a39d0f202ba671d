"""Grammars are compiled once, kept within bounds, and nothing that comes from outside can break their compiler."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from appliance.engine.grammar import Grammars
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import RequestError
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.checkpoints import VOCABULARY, tiny_tokenizer
from tests.engine.toy import END, GRAMMARS, TOKENIZER, allowed


def wanted(**form):
    return StructuredOutput.from_mapping(form)


def walk(matcher, tokens):
    for token in tokens:
        assert token in allowed(matcher)
        matcher.accept(token)


def test_the_same_text_in_another_form_is_another_grammar():
    assert allowed(GRAMMARS.matcher(wanted(regex="ab?"))).size == 1
    with pytest.raises(RequestError):
        GRAMMARS.matcher(wanted(grammar="ab?"))


GBNF = r"""
# As llama.cpp writes them.
root  ::= "[" ws (item ("," ws item)*)? "]"
item  ::= number | text | the-truth
number ::= "-"? [0-9]{1,3} ("." [0-9]+)?
text ::= "\"" [^"\\\n]* "\""
the-truth ::= "yes" | "no"
ws ::= | " "
"""


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("[]", True),
        ('[-12.5, "a b",no]', True),
        ("[yes]", True),
        ("[1234]", False),
        ("[maybe]", False),
        ('["a\nb"]', False),
    ],
)
def test_a_grammar_of_llama_cpp_is_converted(text, fits):
    matcher = GRAMMARS.matcher(wanted(grammar=GBNF))
    for token in TOKENIZER.encode(text):
        if token not in allowed(matcher):
            assert not fits
            return
        matcher.accept(token)
    assert fits
    assert END in allowed(matcher) or matcher.is_complete


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('root ::= "a', "line 1"),
        ('start ::= "a"', "root"),
        ("root ::= other", "other"),
        ("root ::= " + "(" * 5000, "GBNF"),
        ('root ::= "\\q"', "line 1"),
    ],
)
def test_a_grammar_that_cannot_be_converted_is_refused_and_not_quoted(text, reason):
    with pytest.raises(RequestError) as caught:
        GRAMMARS.matcher(wanted(grammar=text))
    assert reason in caught.value.message
    assert "::=" not in caught.value.message


def test_matchers_of_one_grammar_do_not_share_where_they_stand():
    first, second = (GRAMMARS.matcher(wanted(regex="ab")) for _ in range(2))
    walk(first, TOKENIZER.encode("ab"))
    assert first.is_complete
    assert not second.is_complete
    walk(second, TOKENIZER.encode("ab"))


def test_the_end_is_allowed_exactly_where_the_text_matches():
    matcher = GRAMMARS.matcher(wanted(regex="(ab)*"))
    for token, ends in zip(TOKENIZER.encode("abab"), [True, False, True, False], strict=True):
        assert (END in allowed(matcher)) == ends
        matcher.accept(token)
    assert END in allowed(matcher)
    assert not matcher.is_complete  # it may go on


def test_a_token_that_was_not_allowed_leaves_an_error_and_allows_nothing():
    matcher = GRAMMARS.matcher(wanted(regex="ab"))
    matcher.accept(TOKENIZER.encode("x")[0])
    assert matcher.error
    assert "\n" not in matcher.error
    assert not matcher.is_complete
    assert allowed(matcher).size == 0


@pytest.mark.parametrize("text", ["x{name}y", "one {name}{name} two", "e\u0301 not composed", "{name}"])
def test_a_dictated_text_is_written_exactly_whatever_the_tokenizer_makes_of_it(text):
    """Not with special tokens, whose names it holds, and not with the composed letter of another form of Unicode."""
    tokenizer = Tokenizer(tiny_tokenizer())
    ends = tuple(tokenizer.special_tokens)
    grammars = Grammars(tokenizer, VOCABULARY, ends)
    name = tokenizer.special_tokens[ends[0]]
    text = text.format(name=name)
    matcher = grammars.matcher(wanted(json={"const": text}))
    written = []
    while not matcher.is_complete:
        choices = allowed(matcher)
        assert not set(choices) & set(ends)
        written.append(int(choices[0]))
        matcher.accept(written[-1])
    assert json.loads(tokenizer.decode(written)) == text


KEYWORDS = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "$ref",
    "$defs",
    "$schema",
    "$id",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "x-guidance",
    "if",
    "then",
    "title",
]
WORDS = [
    "string",
    "integer",
    "number",
    "object",
    "array",
    "boolean",
    "null",
    "date",
    "#",
    "#/$defs/a",
    "^a+$",
    "(",
    "a|b",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(WORDS)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
LARK = st.lists(
    st.sampled_from(
        ["start", ":", "|", "a", "A", "\n", " ", "(", ")", "*", "+", "?", "{1,3}", '"x"', "/[a-z]/", "%json", "{}",
         "%regex", "<|end|>", "[", "]", "~", "&", "%ignore", "/(/", "suffix=", "lazy"]
    ),
    max_size=25,
).map("".join)  # fmt: skip
REGEXES = st.lists(
    st.sampled_from([*"ab()[]^$*+?|d.é~&", "{2,5}", "{999}", "\\"]),
    max_size=25,
).map("".join)  # fmt: skip
DESCRIPTIONS = st.one_of(
    SCHEMAS.map(lambda schema: {"json": schema}),
    st.text(max_size=40).map(lambda text: {"json": text}),
    (REGEXES | st.text(max_size=20)).map(lambda text: {"regex": text}),
    (LARK | st.text(max_size=30)).map(lambda text: {"grammar": text}),
    st.lists(st.text(st.characters(), max_size=9), max_size=5).map(lambda texts: {"choice": texts}),
    st.dictionaries(st.text(max_size=9), SCHEMAS, max_size=2),
    SCHEMAS,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DESCRIPTIONS)
@example({"json": '{"a":' * 100_000})
@example({"json": "[" * 100_000})
@example({"regex": "(" * 100_000})
@example({"grammar": "start: " + "(" * 100_000})
@example({"json": {"type": "array", "minItems": 10**9}})
@example({"json": {"type": "string", "minLength": 10**9}})
@example({"json": {"type": "integer", "multipleOf": 10**9 + 7}})
@example({"json": {"type": "object", "properties": {f"property {n}": {"type": "string"} for n in range(1500)}}})
@example({"json": {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}})
@example({"regex": "a{1000000}"})
@example({"regex": "(a|b)*a(a|b){200}"})
@example({"regex": "(x{1,1000}y{1,1000}){1,1000}"})
@example({"choice": ["\ud800", "\0"]})
def test_whatever_comes_from_outside_is_a_grammar_or_a_refusal(description):
    """Twenty tokens into whatever was compiled, every choice is still allowed or the matcher says what is wrong."""
    try:
        given_ = SamplingParams.from_mapping({"structured_outputs": description}).structured_outputs
        if given_ is None:
            return
        matcher = GRAMMARS.matcher(given_)
    except RequestError as refusal:
        assert (refusal.param, bool(refusal.message)) == ("structured_outputs", True)  # noqa: PT017 - either will do
        return
    for step in range(20):
        choices = allowed(matcher)
        if matcher.is_complete or not choices.size:
            assert matcher.is_complete or matcher.error
            break
        matcher.accept(int(choices[step * 7 % choices.size]))
