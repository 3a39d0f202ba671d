import pytest

from appliance.errors import EngineError, IntegrityError, MissingProgramError
from appliance.triton.log import failure

GPU_NOISE = """\
W1124 00:12:49.917177 18916 pinned_memory_manager.cc:273] "Unable to allocate pinned system memory"
E1124 00:12:49.917497 18916 server.cc:241] "CudaDriverHelper has not been initialized."
"""


def _load_failure(reason: str) -> str:
    return (
        f'{GPU_NOISE}I1124 00:12:49.918655 18916 model_lifecycle.cc:472] "loading: tiny:1"\n'
        f"E1124 00:11:50.017331 18544 model_lifecycle.cc:642] \"failed to load 'tiny' version 1: Internal: {reason}"
        '\\n\\nAt:\\n  /x/1/model.py(37): initialize\\n"\n'
        "I1124 00:11:50.017351 18544 model_lifecycle.cc:777] \"failed to load 'tiny'\"\n"
    )


def test_our_own_error_comes_back_as_itself():
    error = failure(_load_failure("IntegrityError: model.onnx has another digest (export the model again)"), "t.log")
    assert isinstance(error, IntegrityError)
    assert str(error) == "model.onnx has another digest (export the model again)"


@pytest.mark.parametrize(
    "reason", ["ModuleNotFoundError: No module named 'appliance'", "ImportError: numpy.core failed"]
)
def test_a_missing_library_is_the_operators_to_mend(reason: str):
    error = failure(_load_failure(reason), "t.log")
    assert isinstance(error, MissingProgramError)
    assert reason in error.message
    assert "At:" not in error.message


def test_any_other_reason_is_reported_with_the_log_to_read():
    error = failure(_load_failure("ValueError: what is this"), "/r/triton.log")
    assert isinstance(error, EngineError)
    assert "ValueError: what is this" in error.message
    assert "/r/triton.log" in error.hint


def test_a_program_that_cannot_be_linked_is_told():
    error = failure(
        "tritonserver: error while loading shared libraries: libb64.so: cannot open shared object file\n", "l"
    )
    assert isinstance(error, MissingProgramError)


@pytest.mark.parametrize("text", ["", GPU_NOISE])
def test_a_silent_end_is_told_too_and_what_every_machine_without_a_gpu_says_is_no_reason(text: str):
    error = failure(text, "/r/triton.log")
    assert type(error) is EngineError
    assert "it printed nothing" in error.message
    assert "/r/triton.log" in error.hint


def test_an_end_with_another_last_line_is_told_with_it():
    assert "Segmentation fault" in failure(f"{GPU_NOISE}Segmentation fault (core dumped)\n", "t.log").message


def test_an_engine_word_in_a_request_error_does_not_become_a_request_error():
    assert type(failure(_load_failure("RequestError[prompt]: no"), "l")) is EngineError
