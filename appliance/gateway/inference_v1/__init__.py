"""Our own gRPC API, appliance.v1."""
