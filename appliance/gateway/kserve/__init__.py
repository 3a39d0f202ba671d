"""KServe v2's gRPC service in front of Triton: forwards checked inference requests, and rejects administration."""
