"""The edge inference appliance: verified models, served by NVIDIA Triton behind the box's own gateway."""

import os

__version__ = "0.1.0"

# gRPC's fork handlers start threads in the child, which crash the child before its program begins: 85 of 600 starts
# next to a busy channel. gRPC reads this variable when it is imported, so it is set before any other import.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
