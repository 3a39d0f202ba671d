"""KServe v2's gRPC service in front of Triton: inference passes through checked, administration does not."""
