"""The model behind a real Triton, as clients written for Triton's vLLM backend see it, and in the lean form."""

import json
import queue
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import jsonschema
import pytest
import tritonclient.grpc as client
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from appliance.artefact.parts import CHARACTERS_A_TOKEN
from appliance.inference.tensors import OPENS_STREAM
from tests.checkpoints import tiny_tokenizer
from tests.running_box import RunningBox
from tests.tiny_artefact import CONTEXT_TOKENS, TINY
from tests.triton.model_client import GREEDY, PROMPT, ask, post, refusal, tensor, text_of, value_of
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
FLAGS = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")
EVERYTHING = {f"return_{name}": True for name in FLAGS}
X = tiny_tokenizer().encode("x").ids[0]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with RunningBox(tmp_path_factory.mktemp("box"), ["--triton-http", "127.0.0.1:0"]) as running:
        yield running


def test_the_prompt_comes_back_in_front_of_the_answer_unless_excluded(box: RunningBox):
    (whole,) = ask(box, text_input=PROMPT, sampling_parameters=GREEDY)
    (bare,) = ask(box, text_input=PROMPT, sampling_parameters=GREEDY, exclude_input_in_output=True)
    assert text_of([whole]) == PROMPT + text_of([bare])


def test_streamed_pieces_are_the_whole_answer(box: RunningBox):
    # Steps of a tiny model are so short that several leave together: enough of them for many pieces.
    sampling = {**GREEDY, "max_tokens": 500}
    pieces = ask(box, text_input=PROMPT, sampling_parameters=sampling, stream=True)
    (whole,) = ask(box, text_input=PROMPT, sampling_parameters=sampling, exclude_input_in_output=True)
    assert len(pieces) > 1
    assert text_of(pieces) == text_of([whole])


def test_a_client_that_says_no_length_gets_vllms_sixteen_tokens(box: RunningBox):
    (answer,) = ask(box, text_input=PROMPT, sampling_parameters={"ignore_eos": True}, return_num_output_tokens=True)
    assert value_of(answer, "num_output_tokens") == 16


def test_sampling_parameters_may_be_the_requests_own_and_strings(box: RunningBox):
    own = {"temperature": "0", "max_tokens": "8", "ignore_eos": True}
    (answer,) = ask(box, parameters=own, text_input=PROMPT, return_num_output_tokens=True)
    assert value_of(answer, "num_output_tokens") == 8
    (preferred,) = ask(
        box, parameters={"max_tokens": 3}, text_input=PROMPT, sampling_parameters=GREEDY, return_num_output_tokens=True
    )
    assert value_of(preferred, "num_output_tokens") == 8


@pytest.mark.parametrize("stream", [True, False])
def test_additional_outputs_come_with_every_response_when_asked_for(box: RunningBox, stream: bool):
    sampling = {**GREEDY, "logprobs": 2}
    answers = ask(box, text_input=PROMPT, sampling_parameters=sampling, stream=stream, **EVERYTHING)
    assert sum(value_of(answer, "num_output_tokens") for answer in answers) == 8
    assert {value_of(answer, "num_input_tokens") for answer in answers} == {len(PROMPT)}
    assert [value_of(answer, "finish_reason") for answer in answers] == ["None"] * (len(answers) - 1) + ["length"]
    tokens = [token for answer in answers for token in json.loads(value_of(answer, "logprobs"))]
    assert len(tokens) == 8
    likeliest = [max(figures["logprob"] for figures in token.values()) for token in tokens]
    assert value_of(answers[-1], "cumulative_logprob") == pytest.approx(sum(likeliest), rel=1e-4)
    assert {"logprob", "rank", "decoded_token"} == set(next(iter(tokens[0].values())))


def test_outputs_that_were_not_asked_for_do_not_come(box: RunningBox):
    (answer,) = ask(box, text_input=PROMPT, sampling_parameters=GREEDY)
    assert [output.name for output in answer.get_response().outputs] == ["text_output"]


def test_logprobs_are_null_unless_sampled_with_them(box: RunningBox):
    (answer,) = ask(box, text_input=PROMPT, sampling_parameters=GREEDY, return_logprobs=True)
    assert value_of(answer, "logprobs") == "null"


def test_the_lean_form_answers_ids_with_ids_and_usage_at_the_end(box: RunningBox):
    ids = list(range(20, 40))
    answers = ask(
        box, input_ids=ids, sampling_parameters=GREEDY, stream=True, return_finish_reason=True, principal="somebody"
    )
    tokens = [int(token) for answer in answers for token in answer.as_numpy("token_ids")]
    assert len(tokens) == 8
    assert all(answer.as_numpy("finish_reason") is None for answer in answers[:-1])
    assert value_of(answers[-1], "finish_reason") == "length"
    usage = json.loads(value_of(answers[-1], "usage"))
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (20, 8)
    assert min(usage[name] for name in ("queue_s", "prefill_s", "decode_s", "cached_tokens")) >= 0
    assert usage["stop_reason"] is None


@pytest.mark.parametrize("stream", [True, False])
def test_the_log_probabilities_of_a_prompt_come_when_asked_for(box: RunningBox, stream: bool):
    ids = [20 + number % 70 for number in range(150)]
    sampling = {**GREEDY, "prompt_logprobs": 1}
    answers = ask(box, input_ids=ids, sampling_parameters=sampling, stream=stream, return_prompt_logprobs=True)
    entries = [entry for answer in answers for entry in json.loads(value_of(answer, "prompt_logprobs"))]
    assert len(entries) == len(ids) - 1
    for token, entry in zip(ids[1:], entries, strict=True):
        assert 1 <= len(entry) <= 2
        assert entry[str(token)]["rank"] >= 1
        assert min(figures["rank"] for figures in entry.values()) == 1
    (plain,) = ask(box, input_ids=ids, sampling_parameters=GREEDY)
    (tokens, expected) = ([int(one) for a in each for one in a.as_numpy("token_ids")] for each in (answers, [plain]))
    assert tokens == expected


def test_tokens_can_be_excluded_and_allowed(box: RunningBox):
    sampling = {**GREEDY, "allowed_token_ids": [30, 31], "bad_words": [tiny_tokenizer().decode([30])]}
    (answer,) = ask(box, input_ids=[20, 21, 22], sampling_parameters=sampling)
    assert [int(token) for token in answer.as_numpy("token_ids")] == [31] * 8


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_does_not_want_the_output_gets_the_answer_alone(box: RunningBox, stream: bool):
    sampling = {**GREEDY, "prompt_logprobs": 1}
    answers = ask(box, text_input=PROMPT, sampling_parameters=sampling, stream=stream, exclude_input_in_output=True)
    assert {output.name for answer in answers for output in answer.get_response().outputs} == {"text_output"}


@pytest.mark.parametrize("own", [{}, {"prompt_logprobs": 0}])
def test_no_token_is_generated_for_a_length_of_zero(box: RunningBox, own: dict[str, Any]):
    sampling = {"max_tokens": 0, **own}
    answers = ask(
        box,
        input_ids=[20, 21, 22],
        sampling_parameters=sampling,
        return_finish_reason=True,
        return_prompt_logprobs=True,
    )
    (answer,) = answers
    assert (text_of([answer]), value_of(answer, "finish_reason")) == ("", "length")
    assert len(json.loads(value_of(answer, "prompt_logprobs"))) == (2 if own else 0)
    assert json.loads(value_of(answer, "usage"))["completion_tokens"] == 0


@pytest.mark.parametrize(("own", "reason"), [({"stop": "x"}, "x"), ({"stop_token_ids": [X]}, X), ({}, None)])
def test_usage_tells_what_ended_an_answer(box: RunningBox, own: dict[str, Any], reason: Any):
    sampling = {"structured_outputs": {"choice": ["axb"]}, "max_tokens": 8, **own}
    (answer,) = ask(box, input_ids=[20, 21], sampling_parameters=sampling, return_finish_reason=True)
    assert json.loads(value_of(answer, "usage"))["stop_reason"] == reason
    assert value_of(answer, "finish_reason") == "stop"
    assert text_of([answer]) == ("axb" if reason is None else "a")


def test_an_answer_matches_the_schema_that_was_asked_for(box: RunningBox):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    sampling = {"structured_outputs": {"json": schema}, "max_tokens": 500}
    (answer,) = ask(box, text_input=PROMPT, sampling_parameters=sampling, exclude_input_in_output=True)
    jsonschema.validate(json.loads(text_of([answer])), schema)


def test_a_description_may_be_a_string_in_the_requests_own_parameters(box: RunningBox):
    own = {"structured_outputs": json.dumps({"choice": ["yes", "no"]}), "max_tokens": 8}
    body = {"text_input": PROMPT, "parameters": {**own, "exclude_input_in_output": True}}
    assert json.loads(post(box, f"v2/models/{TINY}/generate", body))["text_output"] in {"yes", "no"}


def test_a_prefix_is_reused_within_one_principal_alone(box: RunningBox):
    ids = [30 + number % 50 for number in range(200)]

    def cached(principal: str) -> int:
        answers = ask(box, input_ids=ids, sampling_parameters=GREEDY, principal=principal)
        return int(json.loads(value_of(answers[-1], "usage"))["cached_tokens"])

    assert cached("anna") == 0
    assert cached("bert") == 0
    assert cached("anna") > 0


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        pytest.param({}, "RequestError[text_input]: exactly one", id="no prompt"),
        pytest.param({"text_input": "a", "input_ids": [1]}, "RequestError[text_input]: exactly one", id="two prompts"),
        pytest.param({"text_input": ""}, "is empty", id="empty text"),
        pytest.param({"input_ids": []}, "is empty", id="no ids"),
        pytest.param({"input_ids": [-1]}, "RequestError", id="no such id"),
        pytest.param({"text_input": b"\xff"}, "RequestError[text_input]: text_input is not UTF-8", id="not UTF-8"),
        pytest.param({"text_input": "a", "sampling_parameters": "{"}, "is not JSON", id="not JSON"),
        pytest.param({"text_input": "a", "sampling_parameters": "[]"}, "must be a JSON object", id="no object"),
        pytest.param({"text_input": "a", "sampling_parameters": "[" * 50_000}, "is not JSON", id="too deep"),
        pytest.param(
            {"text_input": "a", "sampling_parameters": {"structured_outputs": {"json": {"not": {"type": "null"}}}}},
            "RequestError[structured_outputs]: structured_outputs cannot be enforced: not at #/not",
            id="a schema that cannot be enforced",
        ),
        pytest.param({"text_input": "a", "sampling_parameters": {"temprature": 1}}, "[temprature]", id="unknown key"),
        pytest.param({"text_input": "a", "sampling_parameters": {"a]: b": 1}}, "RequestError: ", id="brackets"),
        pytest.param({"text_input": "a", "request_options": {"[" * 99: 1}}, "RequestError: ", id="many brackets"),
        pytest.param(
            {"text_input": "a", "sampling_parameters": {"max_tokens": -1}}, "[max_tokens]", id="less than no tokens"
        ),
        pytest.param(
            {"text_input": "a", "sampling_parameters": '{"temperature": NaN}'}, "[temperature]", id="NaN temperature"
        ),
        pytest.param({"text_input": "a", "request_options": {"tiemout_s": 1}}, "[tiemout_s]", id="unknown option"),
        pytest.param({"text_input": "a", "request_options": {"adapter": "x"}}, "[adapter]", id="no such adapter"),
        pytest.param({"text_input": "a", "request_options": {"adapter": 1}}, "[adapter]", id="no name"),
        pytest.param({"text_input": "a", "request_options": {"timeout_s": 0}}, "[timeout_s]", id="no time"),
        pytest.param({"text_input": "a", "request_options": {"timeout_s": 10**400}}, "[timeout_s]", id="endless time"),
        pytest.param({"text_input": "a", "sampling_parameters": {"top_k": 10**400}}, "[top_k]", id="endless top_k"),
        pytest.param(
            {"text_input": "a", "stream": True, "exclude_input_in_output": False},
            "cannot be false while streaming",
            id="prompt in a stream",
        ),
        pytest.param(
            {"text_input": "a", "sampling_parameters": {"max_tokens": CONTEXT_TOKENS}},
            "PromptTooLongError",
            id="beyond the context",
        ),
    ],
)
def test_a_wrong_request_is_refused_by_name_and_leaves_the_model_working(
    box: RunningBox, inputs: dict[str, Any], words: str
):
    assert words in refusal(box, **inputs)
    assert ask(box, text_input=PROMPT, sampling_parameters=GREEDY)


def test_a_request_ends_at_its_deadline_with_an_error(box: RunningBox):
    told = refusal(
        box,
        text_input=PROMPT,
        sampling_parameters={"max_tokens": 60_000, "ignore_eos": True},
        request_options={"timeout_s": 0.2},
    )
    assert told.startswith("DeadlineError")


@pytest.mark.parametrize("stream", [True, False])
def test_a_cancelled_request_frees_its_slot(box: RunningBox, stream: bool):
    cancelled = box.status["requests"]["cancelled"]
    message = service_pb2.ModelInferRequest(model_name=TINY)
    sampling = {"max_tokens": 60_000, "ignore_eos": True}
    for given in (tensor("text_input", PROMPT), tensor("stream", stream), tensor("sampling_parameters", sampling)):
        message.inputs.append(given._get_tensor())
        message.raw_input_contents.append(given._get_content())
    with grpc.insecure_channel(box.triton) as channel:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(iter([message]))
        wait_until(lambda: box.slots_busy == 1)
        call.cancel()
        wait_until(lambda: box.status["requests"].get("cancelled") == cancelled + 1)
    wait_until(lambda: box.slots_busy == 0)


def test_what_opens_a_stream_has_no_answer_and_comes_from_the_gateway_alone(box: RunningBox):
    assert ask(box, {OPENS_STREAM: True}) == []
    assert "text_input" in refusal(box)
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(box, f"v2/models/{TINY}/generate", {OPENS_STREAM: True})
    assert caught.value.code == 400
    caught.value.close()


def test_more_requests_than_slots_all_finish(box: RunningBox):
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client.InferenceServerClient(box.triton) as triton:
        triton.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(50):
            inputs = [tensor("text_input", f"{PROMPT} {number}"), tensor("sampling_parameters", GREEDY)]
            triton.async_stream_infer(TINY, inputs, request_id=str(number % 7))
        found = [answers.get(timeout=LIMIT_S) for _ in range(50)]
    assert [error for _, error in found if error] == []
    assert len({text_of([result])[: len(PROMPT) + 3] for result, _ in found}) == 50


def test_generate_answers_as_tritons_vllm_backend_documents(box: RunningBox):
    parameters = {"stream": False, "temperature": 0, "exclude_input_in_output": True}
    answer = json.loads(post(box, f"v2/models/{TINY}/generate", {"text_input": PROMPT, "parameters": parameters}))
    assert set(answer) == {"model_name", "model_version", "text_output"}


def test_generate_stream_sends_an_event_a_piece(box: RunningBox):
    body = {"text_input": PROMPT, "parameters": {"stream": True, **GREEDY}}
    lines = post(box, f"v2/models/{TINY}/generate_stream", body).split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    (whole,) = ask(box, text_input=PROMPT, sampling_parameters=GREEDY, exclude_input_in_output=True)
    assert "".join(event["text_output"] for event in events) == text_of([whole])


def test_generate_tells_what_was_wrong(box: RunningBox):
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(box, f"v2/models/{TINY}/generate", {"text_input": PROMPT, "parameters": {"temprature": 0}})
    assert "temprature" in caught.value.read().decode()


@pytest.mark.parametrize(
    "path",
    [
        "v2/repository/index",
        f"v2/repository/models/{TINY}/load",
        f"v2/repository/models/{TINY}/unload",
        "v2/systemsharedmemory/status",
        "v2/logging",
        "v2/trace/setting",
    ],
)
def test_administration_is_not_open_over_http(box: RunningBox, path: str):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        post(box, path, {})


def test_administration_is_not_open_over_grpc_not_even_to_the_boxs_own_user(box: RunningBox):
    with client.InferenceServerClient(box.triton) as triton:
        for action in (
            triton.get_model_repository_index,
            lambda: triton.unload_model(TINY),
            triton.get_log_settings,
            triton.get_trace_settings,
            triton.get_system_shared_memory_status,
        ):
            with pytest.raises(InferenceServerException, match="restricted"):
                action()
        assert triton.is_model_ready(TINY)


def test_a_long_text_is_read_beside_others_and_one_that_cannot_fit_is_refused_unread(box: RunningBox):
    most = CONTEXT_TOKENS * CHARACTERS_A_TOKEN
    told = refusal(box, text_input="a" * (most + 1), sampling_parameters=GREEDY)
    assert told.startswith("PromptTooLongError[text_input]")
    text = "x" * 5000
    (answer,) = ask(box, text_input=text, sampling_parameters=GREEDY, return_num_input_tokens=True)
    assert value_of(answer, "num_input_tokens") == len(tiny_tokenizer().encode(text).ids)


@pytest.mark.parametrize("text", ["[" * 70_000, '{"a": [' + "1," * 70_000 + "1]}"])
def test_settings_that_take_long_to_parse_are_refused(box: RunningBox, text: str):
    assert "sampling_parameters" in refusal(box, text_input=PROMPT, sampling_parameters=text)


def test_administration_is_closed_to_clients_that_reach_triton_itself(box: RunningBox):
    opened = {"triton-grpc-protocol-appliance-administration": "closed"}
    files = {"file:1/model.py": b"raise SystemExit"}
    with client.InferenceServerClient(box.triton) as triton:
        for action in (
            lambda: triton.load_model(TINY, headers=opened),
            lambda: triton.load_model(TINY, headers=opened, config="{}", files=files),
            lambda: triton.unload_model(TINY, headers=opened),
        ):
            with pytest.raises(InferenceServerException):
                action()
        assert triton.is_model_ready(TINY)
