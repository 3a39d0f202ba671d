"""What the driver answers becomes a value or one clear refusal. Its answers are simulated, with its own types."""

import sys
import uuid

import pytest
from cuda.bindings import driver

from appliance.errors import ApplianceError, DeviceLostError, EngineError, MissingProgramError, UnsupportedError
from appliance.gpu import Gpu, find_gpu, is_lasting, lost
from tests.refusals import refused

OK = driver.CUresult.CUDA_SUCCESS
UUID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
ATTRIBUTES = {
    driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: 9,
    driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: 0,
    driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_INTEGRATED: 0,
}


class Uuid:
    bytes = UUID.bytes


# The names of parameters are the real ones: a test compares.
ANSWERS = {
    "cuInit": lambda Flags: (OK,),  # noqa: ARG005, N803
    "cuDeviceGetCount": lambda: (OK, 1),
    "cuDeviceGet": lambda ordinal: (OK, driver.CUdevice(ordinal)),
    "cuDeviceGetName": lambda length, dev: (OK, b"NVIDIA H100 80GB HBM3".ljust(length, b"\0")),  # noqa: ARG005
    "cuDeviceGetAttribute": lambda attrib, dev: (OK, ATTRIBUTES[attrib]),  # noqa: ARG005
    "cuDeviceTotalMem": lambda dev: (OK, 85_017_493_504),  # noqa: ARG005
    "cuDriverGetVersion": lambda: (OK, 13_000),
    "cuDeviceGetUuid": lambda dev: (OK, Uuid),  # noqa: ARG005
}
REAL_DOCUMENTATION = {name: getattr(driver, name).__doc__ for name in ANSWERS}


@pytest.fixture
def simulated(monkeypatch):
    """Returns what sets the driver's answers; unset ones are those of a box with one GPU."""

    def answer(**answers):
        for name, function in {**ANSWERS, **answers}.items():
            monkeypatch.setattr(driver, name, function)

    return answer


def refusal(kind):
    with pytest.raises(ApplianceError) as caught:
        find_gpu()
    assert type(caught.value) is kind
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_simulated_driver_is_called_as_the_real_one(name):
    signature = REAL_DOCUMENTATION[name].partition("\n")[0]
    words = signature.partition("(")[2].rstrip(")").split(", ")
    real = [word.partition(":")[0].split()[-1] for word in words if word]
    code = ANSWERS[name].__code__
    assert list(code.co_varnames[: code.co_argcount]) == real


def test_a_gpu_is_what_the_driver_says_of_it(simulated):
    simulated()
    assert find_gpu() == Gpu(
        name="NVIDIA H100 80GB HBM3",
        compute_capability="9.0",
        memory_bytes=85_017_493_504,
        driver_version="13.0",
        uuid="GPU-01234567-89ab-cdef-0123-456789abcdef",
        integrated=False,
    )


def test_versions_have_a_minor_part(simulated):
    simulated(cuDriverGetVersion=lambda: (OK, 12_080))
    assert find_gpu().driver_version == "12.8"


def test_the_driver_of_this_machine_is_asked_or_found_missing():
    try:
        found = find_gpu()
    except (MissingProgramError, UnsupportedError) as error:
        found = error
    assert found.memory_bytes > 0 if isinstance(found, Gpu) else found.hint


def test_without_the_package_it_says_which_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    assert "the properties of the GPU cannot be read" in refusal(MissingProgramError)


def test_without_a_driver_it_says_so(simulated):
    def absent(_flags):
        raise RuntimeError('"cuda" is an NVIDIA driver library and can only be found via system search')

    simulated(cuInit=absent)
    assert "no NVIDIA driver" in refusal(MissingProgramError)


@pytest.mark.parametrize(
    ("result", "kind", "words"),
    [
        (driver.CUresult.CUDA_ERROR_STUB_LIBRARY, MissingProgramError, "no NVIDIA driver"),
        (driver.CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, MissingProgramError, "too old, or differs"),
        (driver.CUresult.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, MissingProgramError, "too old"),
        (driver.CUresult.CUDA_ERROR_NO_DEVICE, UnsupportedError, "found no GPU"),
        (driver.CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE, EngineError, "exclusively"),
        (driver.CUresult.CUDA_ERROR_SYSTEM_NOT_READY, EngineError, "CUDA_ERROR_SYSTEM_NOT_READY"),
    ],
)
def test_each_refusal_of_the_driver_has_its_own_words(simulated, result, kind, words):
    simulated(cuInit=lambda _flags: (result,))
    assert words in refusal(kind)


def test_a_driver_that_counts_no_gpu_finds_none(simulated):
    simulated(cuDeviceGetCount=lambda: (OK, 0))
    assert refusal(UnsupportedError) == "NVIDIA's driver found no GPU"


def test_a_gpu_that_is_not_there_is_refused_with_the_count(simulated):
    simulated()
    with refused(UnsupportedError, "1 GPUs", "number 1"):
        find_gpu(1)


def test_a_question_that_fails_is_an_engine_error(simulated):
    simulated(cuDeviceTotalMem=lambda _device: (driver.CUresult.CUDA_ERROR_UNKNOWN, 0))
    assert "CUDA_ERROR_UNKNOWN" in refusal(EngineError)


@pytest.mark.parametrize("code", [46, 100, 214, 700, 702, 710, 715, 716, 719, 999])
def test_after_most_errors_a_process_cannot_go_on(code):
    assert is_lasting(code)


@pytest.mark.parametrize("code", [1, 2, 209, 701, 900, 901, 906, 908])
def test_after_some_it_can(code):
    assert not is_lasting(code)


def test_a_lost_gpu_is_an_error_of_its_own():
    assert isinstance(lost("CUDA failure 719"), DeviceLostError)
    assert "719" in lost("CUDA failure 719").message
