from dataclasses import replace
from pathlib import Path

import pytest

from appliance.address import Address
from appliance.errors import MissingProgramError
from appliance.triton.options import ServerOptions, arguments, known_options, unprotected

OPTIONS = ServerOptions(
    repository=Path("/r"),
    backends=Path("/b"),
    model="tiny",
    grpc=Address("127.0.0.1", 8001),
    metrics=Address("127.0.0.1", 8002),
    http=None,
    secret="s3cret",
    shared_memory_prefix="appliance-ab-cd-",
)
NEW = frozenset({"allow-sagemaker", "allow-vertex-ai", "grpc-restricted-protocol", "grpc-max-response-pool-size"})


def test_only_grpc_and_metrics_listen_and_only_on_loopback():
    words = arguments(OPTIONS, NEW)
    assert "--grpc-address=127.0.0.1" in words
    assert "--metrics-address=127.0.0.1" in words
    assert "--allow-http=false" in words
    assert "--allow-sagemaker=false" in words
    assert "--allow-vertex-ai=false" in words
    assert not any("0.0.0.0" in word for word in words)  # noqa: S104 - what must not be there


def test_models_load_only_at_the_start_and_administration_needs_a_secret():
    words = arguments(OPTIONS, NEW)
    assert "--model-control-mode=explicit" in words
    assert "--load-model=tiny" in words
    assert "--grpc-restricted-protocol=model-repository,shared-memory,trace,logging:appliance-secret=s3cret" in words


def test_http_is_on_loopback_and_restricted_when_asked_for():
    words = arguments(replace(OPTIONS, http=Address("127.0.0.1", 8000)), NEW | {"http-restricted-api"})
    assert {"--allow-http=true", "--http-address=127.0.0.1", "--http-port=8000"} <= set(words)
    assert any(word.startswith("--http-restricted-api=model-repository,") for word in words)


def test_options_that_this_triton_does_not_know_are_left_out_and_named():
    words = arguments(OPTIONS, frozenset())
    assert not any("sagemaker" in word or "restricted" in word or "response-pool" in word for word in words)
    assert len(unprotected(frozenset())) == 2
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
    with pytest.raises(MissingProgramError, match="cannot be run"):
        known_options(tmp_path / "absent", {})
