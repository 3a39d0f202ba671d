"""No parameter that the real clients know is forgotten: each is honoured, ignored, renamed or refused by name."""

from __future__ import annotations

import pytest
from anthropic.types import beta, message_count_tokens_params, message_create_params
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params

from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.schema import PromptFields, ResponseBody
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from tests.reference.parameter_table import names_of

# The client sends them as headers.
HEADERS = {"workspace_id", "betas"}


@pytest.mark.parametrize(
    ("params", "body", "policy"),
    [
        (response_create_params.ResponseCreateParamsBase, ResponseBody, responses.POLICY),
        (input_token_count_params.InputTokenCountParams, PromptFields, responses.POLICY),
        (message_create_params.MessageCreateParamsBase, MessagesBody, anthropic.POLICY),
        (message_count_tokens_params.MessageCountTokensParams, CountBody, anthropic.POLICY),
        (beta.message_create_params.MessageCreateParamsBase, MessagesBody, anthropic.POLICY),
        (beta.message_count_tokens_params.MessageCountTokensParams, CountBody, anthropic.POLICY),
        (chat_create_params.CompletionCreateParamsBase, ChatBody, POLICIES[CHAT]),
        (completion_create_params.CompletionCreateParamsBase, CompletionBody, POLICIES[COMPLETIONS]),
    ],
)
def test_every_parameter_of_the_client_has_its_treatment(params, body, policy):
    treated = {*body.model_fields, *names_of(policy)}
    assert set(params.__annotations__) - HEADERS <= treated


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        (ResponseBody, responses.POLICY),
        (MessagesBody, anthropic.POLICY),
        (ChatBody, POLICIES[CHAT]),
        (CompletionBody, POLICIES[COMPLETIONS]),
    ],
)
def test_no_parameter_has_two_treatments(body, policy):
    assert len(names_of(policy)) == len(policy.refused) + len(policy.hints) + len(policy.synonyms)
    # This one comes with what all of OpenAI's bodies share.
    assert set(body.model_fields) & names_of(policy) <= {"max_tokens"}
