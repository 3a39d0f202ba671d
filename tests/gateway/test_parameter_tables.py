"""No parameter that the real clients know is forgotten: each is honoured, ignored or refused by name."""

from __future__ import annotations

import pytest
from anthropic.types import beta, message_count_tokens_params, message_create_params
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params

from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, TREATMENTS
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.schema import PromptFields, ResponseBody
from appliance.gateway.openai.schema import ChatBody, CompletionBody

# The client sends them as headers.
HEADERS = {"workspace_id", "betas"}


@pytest.mark.parametrize(
    ("params", "body", "treatment"),
    [
        (response_create_params.ResponseCreateParamsBase, ResponseBody, responses.TREATMENT),
        (input_token_count_params.InputTokenCountParams, PromptFields, responses.TREATMENT),
        (message_create_params.MessageCreateParamsBase, MessagesBody, anthropic.TREATMENT),
        (message_count_tokens_params.MessageCountTokensParams, CountBody, anthropic.TREATMENT),
        (beta.message_create_params.MessageCreateParamsBase, MessagesBody, anthropic.TREATMENT),
        (beta.message_count_tokens_params.MessageCountTokensParams, CountBody, anthropic.TREATMENT),
        (chat_create_params.CompletionCreateParamsBase, ChatBody, TREATMENTS[CHAT]),
        (completion_create_params.CompletionCreateParamsBase, CompletionBody, TREATMENTS[COMPLETIONS]),
    ],
)
def test_every_parameter_of_the_client_has_its_treatment(params, body, treatment):
    treated = {*body.model_fields, *treatment.refused, *treatment.ignored}
    assert set(params.__annotations__) - HEADERS <= treated


@pytest.mark.parametrize(
    ("body", "treatment"), [(ResponseBody, responses.TREATMENT), (MessagesBody, anthropic.TREATMENT)]
)
def test_no_parameter_has_two_treatments(body, treatment):
    assert not set(treatment.refused) & set(treatment.ignored)
    # This one comes with what all of OpenAI's bodies share.
    assert set(body.model_fields) & {*treatment.refused, *treatment.ignored} <= {"max_tokens"}
