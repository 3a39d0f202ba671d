"""KServe v2's gRPC service in front of Triton: inference passes through as bytes, administration does not."""
