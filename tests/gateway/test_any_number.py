"""Whatever number a client sends, on every API, it is refused by name or small enough for all that is done with it."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.artefact.manifest import Generation
from appliance.errors import RequestError
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.bodies import json_body as body
from appliance.gateway.inference_v1 import messages as grpc_messages
from appliance.gateway.inquiry.schema import DetokenizeBody, TokenizeBody
from appliance.gateway.ollama.schema import EmbedBody, EmbedOneBody, GenerateBody, OllamaChatBody, Options
from appliance.gateway.openai.decisions.schema import DecisionBody
from appliance.gateway.openai.embeddings import EmbeddingBody
from appliance.gateway.openai.rerank import RerankBody
from appliance.gateway.openai.responses.schema import PageQuery, ResponseBody
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.openai.score import ScoreBody
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.inference.sampling import SamplingParams
from tests.waiting import LIMIT_S

DEFAULTS = Generation(eos_token_ids=())
TURNS = [{"role": "user", "content": "a"}]
BODIES: dict[type[Any], dict[str, Any]] = {
    ChatBody: {"model": "m", "messages": TURNS},
    CompletionBody: {"model": "m", "prompt": "a"},
    ResponseBody: {"model": "m", "input": "a"},
    MessagesBody: {"model": "m", "messages": TURNS, "max_tokens": 1},
    CountBody: {"model": "m", "messages": TURNS},
    TokenizeBody: {"model": "m", "prompt": "a"},
    DetokenizeBody: {"model": "m", "tokens": []},
    EmbeddingBody: {"model": "m", "input": "a"},
    OllamaChatBody: {"model": "m", "messages": TURNS},
    GenerateBody: {"model": "m", "prompt": "a"},
    EmbedBody: {"model": "m", "input": "a"},
    EmbedOneBody: {"model": "m", "prompt": "a"},
    Options: {},
    DecisionBody: {"model": "m", "input": "a", "questions": [{"type": "predicate", "instructions": "a"}]},
    RerankBody: {"model": "m", "query": "a", "documents": ["a"]},
    ScoreBody: {"model": "m", "text_1": "a", "text_2": "a"},
    PageQuery: {},
}
LEAST, MOST = -(1 << 63), (1 << 64) - 1
# As JSON writes them: some have more digits than Python converts, and some are infinite to it.
NUMBERS = st.one_of(
    st.sampled_from(
        ["1" + "0" * 400, "-1" + "0" * 400, "1" + "0" * 5000, "1e400", "-1e400", "1e308", "1e-400", "1e39"]
    ),
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
)
# Where a number may stand within a parameter.
PLACES = ["%s", "[%s]", "[[%s]]", '{"1": %s}', '{"%s": 1}', '{"budget_tokens": %s, "type": "enabled"}', '"%s"']
# Parameters that are a JSON schema as a whole.
SCHEMAS = {"guided_json", "json_schema", "format"}
# Ollama's options have a body of their own, and a model may be kept for ever.
APART = {"metadata", "options", "keep_alive"}
FIELDS = [(kind, name) for kind in BODIES for name in kind.model_fields]


def numbers(value: Any) -> Iterator[float]:
    """Every number in a value, those of a JSON schema and of a tool's arguments apart: they are no parameters."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from numbers(key)
            yield from numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def are_bounded(value: Any) -> bool:
    return all(LEAST <= one <= MOST or (isinstance(one, float) and math.isfinite(one)) for one in numbers(value))


@given(st.sampled_from(FIELDS), st.sampled_from(PLACES), NUMBERS)
def test_every_number_of_a_body_is_bounded_or_refused(field, place, number):
    kind, name = field
    content = json.dumps(BODIES[kind])[:-1] + (", " if BODIES[kind] else "") + f'"{name}": {place % number}' + "}"
    try:
        asked = body.check(kind, body.read_object(content.encode()))
    except RequestError:
        return
    assert are_bounded(asked.model_dump(exclude={*APART, *SCHEMAS}))


@given(st.sampled_from([one.name for one in pb.Sampling.DESCRIPTOR.fields]), st.data())
def test_every_number_of_a_grpc_message_is_bounded_or_refused(name, drawn):
    least, most = drawn.draw(st.sampled_from([(0, 1 << 31), (-(1 << 31), 0), (LEAST, MOST)]))
    number = drawn.draw(st.integers(least, most) | st.floats())
    message = pb.Sampling()
    try:
        current = getattr(message, name)
        if name == "logit_bias":
            current[drawn.draw(st.integers(-5, 1 << 31))] = number
        elif hasattr(current, "append"):
            current.append(number)
        else:
            setattr(message, name, number)
        found = grpc_messages.settings(message, DEFAULTS)
    except (TypeError, ValueError, OverflowError, RequestError):
        # The client's library refuses it, or we do.
        return
    assert are_bounded(found)
    SamplingParams.from_mapping(found)


@given(st.sampled_from(sorted(SamplingParams.__dataclass_fields__)), st.sampled_from(PLACES), NUMBERS)
@example("stop_token_ids", "[%s]", "1" + "0" * 400)
@example("logit_bias", '{"%s": 1}', "1" + "0" * 400)
def test_every_number_of_kserves_sampling_parameters_is_bounded_or_refused(name, place, number):
    try:
        given_ = json.loads(f'{{"{name}": {place % number}}}')
    except ValueError:
        return
    with contextlib.suppress(RequestError):
        found = SamplingParams.from_mapping(given_)
        assert are_bounded({key: value for key, value in vars(found).items() if key != "structured_outputs"})


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/completions", {"prompt": "a", "top_k": 10**400}),
        ("/v1/completions", {"prompt": "a", "min_tokens": 10**400}),
        ("/v1/completions", {"prompt": "a", "max_tokens": 10**400}),
        ("/v1/completions", {"prompt": [10**400]}),
        ("/v1/chat/completions", {"messages": TURNS, "max_completion_tokens": 10**400}),
        ("/v1/chat/completions", {"messages": TURNS, "chat_template_kwargs": {"enable_thinking": 10**400}}),
        ("/v1/responses", {"input": "a", "max_output_tokens": 10**400}),
        ("/v1/messages", {"messages": TURNS, "max_tokens": 10**400}),
        ("/v1/detokenize", {"tokens": [10**400]}),
    ],
)
def test_a_number_beyond_all_bounds_is_a_400_that_names_it(harness, path, parameters):
    response = httpx.post(f"{harness.url}{path}", json={"model": "tiny-instruct", **parameters}, timeout=LIMIT_S)
    assert response.status_code == 400
    assert response.json()["error"]["message"].partition(":")[0].partition("[")[0].partition(".")[0] in parameters
