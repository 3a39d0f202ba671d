"""Reads the properties of a GPU from NVIDIA's driver. It creates no context, so it uses no memory on the device.

This module uses CUDA's driver API through the cuda-bindings package. It imports the package only at the first call,
because a box without a GPU needs neither package nor driver.
"""

from __future__ import annotations

import uuid
from typing import Any

from appliance.errors import ApplianceError, EngineError, MissingProgramError, UnsupportedError
from appliance.extras import install_command
from appliance.gpu.gpu import Gpu

_NAME_BYTES = 256
# CUresult: error codes of cuInit.
_NO_DEVICE, _DEVICE_UNAVAILABLE, _STUB = 100, 46, 34
_OLD_DRIVER = {35, 803, 804}  # too old for this API; parts do not match; no forward compatibility


def find_gpu(ordinal: int = 0) -> Gpu:
    """Return the GPU with CUDA's device number `ordinal`. CUDA_VISIBLE_DEVICES determines which GPUs CUDA numbers.

    Raises:
        MissingProgramError: the cuda-bindings package or the driver is missing, or the driver is too old.
        UnsupportedError: the driver finds no GPU with this number.
        EngineError: the driver fails.
    """
    driver = _driver()
    _initialise(driver)
    count = int(_ask(driver.cuDeviceGetCount()))
    if ordinal >= count:
        raise _no_device(f"CUDA counts {count} GPUs, and number {ordinal} was asked for" if count else "")
    device = _ask(driver.cuDeviceGet(ordinal))
    attributes = driver.CUdevice_attribute
    major = _ask(driver.cuDeviceGetAttribute(attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device))
    minor = _ask(driver.cuDeviceGetAttribute(attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device))
    integrated = _ask(driver.cuDeviceGetAttribute(attributes.CU_DEVICE_ATTRIBUTE_INTEGRATED, device))
    version = int(_ask(driver.cuDriverGetVersion()))
    return Gpu(
        name=bytes(_ask(driver.cuDeviceGetName(_NAME_BYTES, device))).partition(b"\0")[0].decode(errors="replace"),
        compute_capability=f"{int(major)}.{int(minor)}",
        memory_bytes=int(_ask(driver.cuDeviceTotalMem(device))),
        driver_version=f"{version // 1000}.{version % 1000 // 10}",
        uuid=f"GPU-{uuid.UUID(bytes=bytes(_ask(driver.cuDeviceGetUuid(device)).bytes))}",
        integrated=bool(integrated),
    )


def _driver() -> Any:
    try:
        from cuda.bindings import driver  # noqa: PLC0415 - a box without a GPU may lack the package
    except ImportError as error:
        raise MissingProgramError(
            f"the properties of the GPU cannot be read: {error}",
            hint=f"install NVIDIA's bindings: {install_command('tensorrt')}",
        ) from error
    return driver


def _initialise(driver: Any) -> None:
    try:
        (result,) = driver.cuInit(0)
    except (RuntimeError, OSError) as error:  # the package loads the driver's library at the first call
        raise _no_driver() from error
    code = int(result)
    if code == 0:
        return
    if code == _STUB:
        raise _no_driver()
    if code in _OLD_DRIVER:
        raise MissingProgramError(
            f"NVIDIA's driver is too old, or differs from the loaded kernel module ({result.name})",
            hint="update the driver and restart the machine",
        )
    if code == _NO_DEVICE:
        raise _no_device("")
    if code == _DEVICE_UNAVAILABLE:
        raise EngineError("another program uses the GPU exclusively", hint="stop that program")
    raise _failure(result)


def _ask(answer: tuple[Any, ...]) -> Any:
    """Check the result code of a driver call and return the value after it."""
    if int(answer[0]) != 0:
        raise _failure(answer[0])
    return answer[1]


def _failure(result: Any) -> ApplianceError:
    return EngineError(f"NVIDIA's driver failed: {result.name}", hint="nvidia-smi and the kernel log have details")


def _no_driver() -> ApplianceError:
    return MissingProgramError(
        "this box has no NVIDIA driver: libcuda.so.1 was not found",
        hint="install NVIDIA's driver; in a container, start it with the NVIDIA container toolkit (--gpus all)",
    )


def _no_device(detail: str) -> ApplianceError:
    return UnsupportedError(
        detail or "NVIDIA's driver found no GPU",
        hint="run nvidia-smi, and check that CUDA_VISIBLE_DEVICES does not hide the GPU",
    )
