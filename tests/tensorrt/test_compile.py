"""Real plans of a small graph: what they are built for, and what no plan is built of."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from pathlib import Path

import onnx
import pytest

from appliance.errors import EngineError, UnsupportedError
from appliance.tensorrt.build import BuildInputs
from appliance.tensorrt.build_progress import BuildProgress
from appliance.tensorrt.compile import _logger, _offer_timings, compile_plan, profile_shapes
from appliance.tensorrt.find import Flavour, TensorRt
from tests.refusals import refused
from tests.tensorrt.conftest import DRIVER, L4, PROFILE
from tests.tensorrt.step_graph import make_plan_artefact


def compiled(site: BuildInputs, *, compute_capability: str = "8.9", advance=lambda _percent: None) -> bytes:
    plan, _ = compile_plan(site.tensorrt, site.artefact, compute_capability, site.profile, b"", advance)
    return bytes(plan)


def test_a_graph_becomes_a_plan_and_the_progress_ends_at_a_hundred(site: BuildInputs):
    told: list[int] = []
    plan = compiled(site, advance=told.append)
    assert len(plan) > 1000
    assert sum(told) == 100
    assert all(percent > 0 for percent in told)


def test_a_plan_is_built_for_one_prefill_and_for_decoding_every_slot():
    cache = (-1, 2, 80, 16)
    inputs = {"input_ids": (-1, -1), "write_indices": (-1,), "logits_rows": (-1,), "past_key_values.0.key": cache}
    prefill, decode = profile_shapes(inputs, PROFILE)
    one, four = (1, 2, 80, 16), (4, 2, 80, 16)
    assert prefill == {
        "input_ids": ((1, 1), (1, 16), (1, 16)),
        "write_indices": ((1,), (1,), (1,)),
        "logits_rows": ((1,), (1,), (1,)),
        "past_key_values.0.key": (one, one, one),
    }
    assert decode == {
        "input_ids": ((1, 1), (4, 1), (4, 1)),
        "write_indices": ((1,), (4,), (4,)),
        "logits_rows": ((1,), (4,), (4,)),
        "past_key_values.0.key": (one, four, four),
    }


def test_an_input_that_the_contract_does_not_name_is_refused():
    with refused(UnsupportedError, "position_ids"):
        profile_shapes({"position_ids": (-1, -1)}, PROFILE)


def test_a_length_of_the_cache_that_tensorrt_would_pass_over_is_refused(tmp_path: Path, rtx: TensorRt):
    manifest = make_plan_artefact(tmp_path / "artefact", leave_out="nonpad_kv_seqlen")
    with refused(UnsupportedError, "Attention", "filled"):
        compiled(BuildInputs(tmp_path / "artefact", manifest, rtx, L4, DRIVER, PROFILE, PROFILE.slots))


def test_an_input_that_nothing_computes_with_is_refused(tmp_path: Path, rtx: TensorRt):
    manifest = make_plan_artefact(tmp_path / "artefact", leave_out="logits_rows")
    with refused(UnsupportedError, "Unused Input", "logits_rows"):
        compiled(BuildInputs(tmp_path / "artefact", manifest, rtx, L4, DRIVER, PROFILE, PROFILE.slots))


def test_a_second_build_in_a_process_hears_what_the_first_one_did_not(tmp_path: Path, site: BuildInputs):
    """TensorRT listens to the logger of what still lives, here kept alive by the failure that is being handled."""
    manifest = make_plan_artefact(tmp_path / "other", leave_out="logits_rows")
    other = dataclasses.replace(site, artefact=tmp_path / "other", manifest=manifest)
    with refused(UnsupportedError, "Unused Input") as kept:
        compiled(other)
    assert compiled(site)
    with refused(UnsupportedError, "Unused Input"):
        compiled(other)
    assert kept.tb


def test_an_operator_that_tensorrt_does_not_know_is_refused_in_its_own_words(site: BuildInputs):
    path = site.artefact / "model.onnx"
    model = onnx.load_model(path, load_external_data=False)
    next(node for node in model.graph.node if node.op_type == "Attention").op_type = "Attendance"
    path.write_bytes(model.SerializeToString())
    with refused(UnsupportedError, "TensorRT for RTX", "Attendance"):
        compiled(site)


@pytest.mark.parametrize("compute_capability", ["9.0", "8.7", "10.0"])
def test_tensorrt_for_rtx_refuses_a_gpu_that_it_does_not_serve(site: BuildInputs, compute_capability: str):
    with refused(UnsupportedError, compute_capability):
        compiled(site, compute_capability=compute_capability)


def test_a_build_that_fails_says_why(site: BuildInputs):
    path = site.artefact / "model.onnx"
    model = onnx.load_model(path, load_external_data=False)
    model.graph.input[2].type.tensor_type.shape.dim[0].dim_value = 1
    path.write_bytes(model.SerializeToString())
    with refused(EngineError, "logits_rows"):
        compiled(site)


@pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")
@pytest.mark.parametrize("kept", [b"", b"damaged"])
def test_timings_are_offered_to_tensorrt_itself_and_damaged_ones_are_left(rtx: TensorRt, kept: bytes):
    """TensorRT for RTX still has the calls: what they take and give is what TensorRT's do."""
    config = rtx.module.Builder(_logger(rtx.module)).create_builder_config()
    proper = TensorRt(rtx.module, Flavour.TENSORRT, "10.15.1")
    written = bytes(_offer_timings(proper, config, kept).serialize())
    assert bytes(_offer_timings(proper, config, written).serialize()) == written
    assert _offer_timings(rtx, config, written) is None


def test_an_interrupt_ends_the_build_and_is_raised_afterwards(site: BuildInputs):
    before = signal.getsignal(signal.SIGINT)

    def interrupt(_percent: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        compiled(site, advance=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert compiled(site)


def test_a_build_off_the_main_thread_leaves_signals_alone(site: BuildInputs):
    plans: list[bytes] = []
    thread = threading.Thread(target=lambda: plans.append(compiled(site)))
    thread.start()
    thread.join()
    assert plans


class TestProgress:
    """Phases within phases become one number that only grows."""

    def test_a_phase_within_another_is_a_part_of_one_step_of_it(self):
        told: list[int] = []
        progress = BuildProgress(told.append, lambda: False)
        progress.begin("all", None, 2)
        progress.begin("first", "all", 4)
        assert progress.step("first")
        assert sum(told) == 12
        progress.end("first")
        progress.step("all")
        assert sum(told) == 50
        # One that begins late takes nothing back.
        progress.begin("second", "all", 4)
        progress.step("second")
        assert sum(told) == 62
        progress.end("second")
        progress.step("all")
        progress.end("all")
        assert sum(told) == 100
        assert min(told) > 0

    def test_it_says_when_the_build_is_to_end(self):
        told: list[int] = []
        progress = BuildProgress(told.append, lambda: True)
        progress.begin("all", None, 2)
        assert not progress.step("all")
        progress.end("all")
        assert sum(told) == 50
