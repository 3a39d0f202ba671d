from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import MissingProgramError
from appliance.triton.options import MODEL_CONTROL, ServerOptions, arguments, known_options, unprotected
from tests.refusals import refused

OPTIONS = ServerOptions(
    repository=Path("/r"),
    backends=Path("/b"),
    sockets=Path("run/triton"),
    shared_memory_prefix="appliance-ab-cd-",
)
NEW = frozenset({"allow-sagemaker", "allow-vertex-ai", "grpc-restricted-protocol", "grpc-max-response-pool-size"})


def test_every_listener_is_a_unix_socket():
    words = arguments(OPTIONS, NEW)
    listeners = [word for word in words if "-address=" in word]
    assert listeners == [
        "--grpc-address=unix:run/triton/grpc",
        "--metrics-address=unix:run/triton/metrics",
    ]
    assert OPTIONS.paths == {"run/triton/grpc:8001", "run/triton/metrics"}


def test_http_and_the_apis_of_clouds_are_off():
    words = arguments(OPTIONS, NEW)
    assert {"--allow-http=false", "--allow-sagemaker=false", "--allow-vertex-ai=false"} <= set(words)


def test_only_the_box_loads_models_and_administration_is_closed():
    words = arguments(replace(OPTIONS, models=("a", "b")), NEW)
    assert "--model-control-mode=explicit" in words
    assert [word for word in words if "load-model" in word] == ["--load-model=a", "--load-model=b"]
    assert [word.partition("=")[2] for word in words if "restricted" in word] == [
        "model-repository:appliance-models=open",
        "shared-memory,trace,logging:appliance-administration=closed",
    ]
    assert MODEL_CONTROL == (("triton-grpc-protocol-appliance-models", "open"),)


def test_options_that_this_triton_does_not_know_are_left_out_and_named():
    words = arguments(OPTIONS, frozenset())
    assert not any("sagemaker" in word or "restricted" in word or "response-pool" in word for word in words)
    assert len(unprotected(frozenset())) == 1
    assert unprotected(NEW) == ()


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_options_are_read_from_the_programs_own_help(tmp_path: Path):
    program = _program(
        tmp_path / "tritonserver", "printf '  --model-repository <string>\\n  --grpc-address <s>\\n' >&2; exit 1"
    )
    assert known_options(program, {}) == {"model-repository", "grpc-address"}


def test_a_program_that_does_not_run_is_reported_with_its_own_words(tmp_path: Path):
    program = _program(
        tmp_path / "tritonserver", "echo 'libcudart.so.12: cannot open shared object file' >&2; exit 127"
    )
    with pytest.raises(MissingProgramError, match="libcudart"):
        known_options(program, {})


def test_a_program_that_cannot_be_started_is_reported(tmp_path: Path):
    with refused(MissingProgramError, "run"):
        known_options(tmp_path / "absent", {})
