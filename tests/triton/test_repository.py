from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from appliance.errors import MissingProgramError, UsageError
from appliance.inference.config import EngineConfig
from appliance.inference.served import ServedModelSettings
from appliance.triton import repository
from appliance.triton.repository import configuration, render

GOLDEN = Path(__file__).parent.parent / "golden" / "config.pbtxt"
ENGINE = EngineConfig(slots=3)
TINY = ServedModelSettings("tiny", Path("/a"))
SMALL = ServedModelSettings("small", Path("/b"), ENGINE)
SHIM = {"model.py", "wire.py", "sender.py", "reporter.py"}


def test_the_configuration_is_the_golden_one():
    model = ServedModelSettings("tiny-instruct", Path("/a/tiny-instruct/cpu-balanced"))
    assert configuration(model) == GOLDEN.read_text()


def test_triton_s_own_schema_reads_the_configuration_back():
    text = configuration(ServedModelSettings("tiny-instruct", Path('/a "quoted" \\ path/ü'), ENGINE))
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert config.parameters["artefact"].string_value == '/a "quoted" \\ path/ü'
    assert EngineConfig.from_json(config.parameters["engine"].string_value) == ENGINE
    assert config.model_transaction_policy.decoupled
    assert config.max_batch_size == 0
    assert [group.count for group in config.instance_group] == [1]


def test_the_tensors_are_those_of_tritons_vllm_backend_and_more():
    config = text_format.Parse(configuration(ServedModelSettings("m", Path("/a"))), model_config_pb2.ModelConfig())
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


def _written(repository: Path) -> dict[str, int]:
    """Every file with the time of its last change."""
    return {
        str(path.relative_to(repository)): path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()
    }


def test_each_model_of_the_set_has_a_folder_with_its_own_settings(tmp_path: Path):
    render(tmp_path, [TINY, SMALL])
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "small"}
    for model in (TINY, SMALL):
        assert (tmp_path / model.name / "config.pbtxt").read_text() == configuration(model)
        assert {path.name for path in (tmp_path / model.name / "1").iterdir()} == SHIM


def test_only_folders_of_models_that_are_not_wanted_are_removed(tmp_path: Path):
    render(tmp_path, [TINY, SMALL])
    before = _written(tmp_path)
    (tmp_path / "old-model" / "1").mkdir(parents=True)
    (tmp_path / "notes").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "tiny")
    render(tmp_path, [SMALL])
    assert _written(tmp_path) == {name: time for name, time in before.items() if name.startswith("small/")}


def test_only_the_folder_that_is_not_right_is_written(tmp_path: Path):
    render(tmp_path, [TINY, SMALL])
    before = _written(tmp_path)
    (tmp_path / "tiny" / "1" / "stray.py").write_text("x")
    (tmp_path / "tiny" / "1" / "wire.py").unlink()
    (tmp_path / "small" / "1" / "__pycache__").mkdir()
    (tmp_path / "small" / "1" / "__pycache__" / "wire.pyc").write_text("x")
    render(tmp_path, [TINY, SMALL])
    after = _written(tmp_path)
    del after["small/1/__pycache__/wire.pyc"]
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] == after[name]} >= {n for n in before if n.startswith("small/")}
    assert after["tiny/1/model.py"] != before["tiny/1/model.py"]


def test_a_name_that_is_no_path_component_is_refused():
    with pytest.raises(UsageError):
        configuration(ServedModelSettings("../evil", Path("/a")))


def test_an_incomplete_installation_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(repository, "_TEMPLATES", (tmp_path,))
    with pytest.raises(MissingProgramError, match="template"):
        render(tmp_path / "repository", [TINY])
