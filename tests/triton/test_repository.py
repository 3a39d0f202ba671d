from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from appliance.errors import MissingProgramError, UsageError
from appliance.inference.config import EngineConfig
from appliance.triton import repository
from appliance.triton.repository import configuration, render

GOLDEN = Path(__file__).parent.parent / "golden" / "config.pbtxt"
ENGINE = EngineConfig()


def test_the_configuration_is_the_golden_one():
    assert configuration("tiny-instruct", Path("/a/tiny-instruct/cpu-balanced"), ENGINE) == GOLDEN.read_text()


def test_triton_s_own_schema_reads_the_configuration_back():
    text = configuration("tiny-instruct", Path('/a "quoted" \\ path/ü'), ENGINE)
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert config.parameters["artefact"].string_value == '/a "quoted" \\ path/ü'
    assert EngineConfig.from_json(config.parameters["engine"].string_value) == ENGINE
    assert config.model_transaction_policy.decoupled
    assert config.max_batch_size == 0
    assert [group.count for group in config.instance_group] == [1]


def test_the_tensors_are_those_of_tritons_vllm_backend_and_more():
    config = text_format.Parse(configuration("m", Path("/a"), ENGINE), model_config_pb2.ModelConfig())
    types = model_config_pb2.DataType
    inputs = {
        tensor.name: (types.Name(tensor.data_type), list(tensor.dims), tensor.optional) for tensor in config.input
    }
    outputs = {tensor.name: (types.Name(tensor.data_type), list(tensor.dims)) for tensor in config.output}
    flags = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")
    for name in ("stream", "exclude_input_in_output", *(f"return_{flag}" for flag in flags)):
        assert inputs[name] == ("TYPE_BOOL", [1], True)
    assert inputs["text_input"] == inputs["sampling_parameters"] == ("TYPE_STRING", [1], True)
    assert inputs["input_ids"] == ("TYPE_INT32", [-1], True)
    assert outputs["text_output"] == outputs["finish_reason"] == outputs["logprobs"] == ("TYPE_STRING", [-1])
    assert outputs["cumulative_logprob"] == ("TYPE_FP32", [-1])
    assert outputs["num_input_tokens"] == ("TYPE_UINT32", [1])
    assert outputs["num_output_tokens"] == ("TYPE_UINT32", [-1])


def test_rendering_replaces_what_was_there(tmp_path: Path):
    (tmp_path / "repository" / "old-model" / "1").mkdir(parents=True)
    folder = render(tmp_path / "repository", "tiny", Path("/a"), ENGINE)
    assert [path.name for path in (tmp_path / "repository").iterdir()] == ["tiny"]
    assert {path.name for path in (folder / "1").iterdir()} == {"model.py", "wire.py", "sender.py", "reporter.py"}


def test_a_name_that_is_no_path_component_is_refused():
    with pytest.raises(UsageError):
        configuration("../evil", Path("/a"), ENGINE)


def test_an_incomplete_installation_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(repository, "_TEMPLATES", (tmp_path,))
    with pytest.raises(MissingProgramError, match="template"):
        render(tmp_path / "repository", "tiny", Path("/a"), ENGINE)
