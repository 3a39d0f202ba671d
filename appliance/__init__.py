"""The edge inference appliance: verified models, served by NVIDIA Triton, behind a gateway of the site's own."""

import os

__version__ = "0.1.0"

# gRPC's own handlers of a fork start threads in the child, which crash it before its program begins: 85 of 600 starts
# beside a busy channel. gRPC reads this when it is imported, so it is set before any module of ours can import it.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
