"""The OpenAPI document belongs to the gateway: schemathesis finds no answer that it does not describe."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.errors import InvalidSchema
from schemathesis.schemas import APIOperation

from appliance.gateway.openapi import ENDPOINTS, Endpoint, document
from tests.gateway.harness import Harness
from tests.waiting import LIMIT_S

load_all_checks()
# What a valid body cannot promise: the model exists, the prompt fits, the model can do what is asked.
LEFT_OUT = CHECKS.get_by_names(["positive_data_acceptance"])
# What is made to be wrong is sometimes right: for another of several alternatives, or without its nulls.
REFUSAL = CHECKS.get_by_names(["negative_data_rejection"])
EXAMPLES = settings().max_examples // 5
MODELS = ("tools", "thinker", "coder")


@pytest.fixture(scope="module")
def schema() -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(document(MODELS))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_answer_is_one_that_the_document_describes(talking_harness: Harness, schema, endpoint, mode):
    operation = schema[endpoint.path][endpoint.method.upper()]
    if mode is GenerationMode.NEGATIVE and endpoint.body is None:
        pytest.skip("nothing is sent that could be wrong")
    bodies = _bodies(endpoint) if mode is GenerationMode.NEGATIVE else None

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation, mode))
    def ask(case: schemathesis.Case) -> None:
        is_right = bodies is not None and bodies.is_valid(_without_nulls(case.body))
        case.call_and_validate(
            base_url=talking_harness.url,
            excluded_checks=[*LEFT_OUT, *(REFUSAL if is_right else [])],
            timeout=LIMIT_S,
        )

    ask()


@st.composite
def _cases(draw: st.DrawFn, operation: APIOperation, mode: GenerationMode) -> schemathesis.Case:
    """A request. For some schemas that schemathesis makes wrong it finds no value: they say nothing of the box."""
    try:
        case: schemathesis.Case = draw(operation.as_strategy(generation_mode=mode))
    except InvalidSchema:
        # Our own schemas, which right requests are made of, must have values.
        if mode is GenerationMode.POSITIVE:
            raise
        reject()
    return case


def _bodies(endpoint: Endpoint) -> Draft202012Validator:
    described = document(MODELS)
    kind = described["paths"][endpoint.path][endpoint.method]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**described, **kind})


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def test_the_gateway_serves_the_document_of_its_own_models(http: httpx.Client):
    served = http.get("/openapi.json").json()
    assert served == document([model["id"] for model in http.get("/v1/models").json()["data"]])
