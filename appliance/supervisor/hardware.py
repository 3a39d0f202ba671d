"""Checks that this box has the GPU that an artefact was exported for, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence

from appliance import targets
from appliance.artefact.manifest import ORT_CPU, Manifest
from appliance.errors import MissingProgramError, UsageError
from appliance.gpu import Gpu, find_gpu
from appliance.targets import Target


def check_hardware(manifest: Manifest) -> Gpu | None:
    """Return the GPU for the artefact; None if the artefact needs no GPU.

    Raises:
        UsageError: the artefact was exported for another kind of GPU.
        MissingProgramError: the driver is missing or too old for the target, or cuda-bindings is not installed.
        UnsupportedError: there is no GPU.
        UnknownModelError: the artefact's target is unknown.
        EngineError: the driver fails.
    """
    if manifest.runtime == ORT_CPU:
        return None
    target = targets.get(manifest.target)
    gpu = find_gpu()
    if gpu.compute_capability != target.compute_capability:
        raise UsageError(
            f"{manifest.model} was exported for {target.name} (compute capability {target.compute_capability}); "
            f"this box has {gpu.name} ({gpu.compute_capability})",
            hint=_what_to_export(manifest.model, targets.fitting(gpu.compute_capability, is_jetson=gpu.integrated)),
        )
    # A newer driver serves an older CUDA, but an older driver does not serve a newer CUDA.
    if target.cuda and not targets.VersionRange(least=target.cuda.least).covers(gpu.driver_version):
        raise MissingProgramError(
            f"the driver supports CUDA {gpu.driver_version}, but {target.name} needs {target.cuda.least} or newer",
            hint=f"install JetPack {target.jetpack}" if target.jetpack else "update NVIDIA's driver",
        )
    return gpu


def _what_to_export(model: str, fitting: Sequence[Target]) -> str:
    if not fitting:
        return f"this version has no target for this GPU; use the CPU: appliance export {model} --target cpu"
    return " or ".join(f"appliance export {model} --target {target.name}" for target in fitting)
