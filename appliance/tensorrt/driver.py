"""The exact release of the GPU's driver. CUDA's own driver version changes less often than the driver."""

from __future__ import annotations

from pathlib import Path

from appliance.gpu import Gpu

# NVIDIA's kernel module states its version. A Jetson states the release of Jetson Linux, which includes the driver.
_MODULE = Path("sys/module/nvidia/version")
_JETSON = Path("etc/nv_tegra_release")


def installed_driver(gpu: Gpu, root: Path = Path("/")) -> str:
    """The driver's release, such as "580.95.05" or "R38 (release), REVISION: 2.0"; else the CUDA that it serves.

    Args:
        gpu: see Gpu.
        root: root of the file system.
    """
    cuda = f"CUDA {gpu.driver_version}"
    try:
        return f"{(root / _MODULE).read_text(encoding='utf-8').strip()} ({cuda})"
    except OSError:
        pass
    try:
        line = (root / _JETSON).read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return cuda
    release = ", ".join(part.strip(" #") for part in line.split(",")[:2])
    return f"{release} ({cuda})"
