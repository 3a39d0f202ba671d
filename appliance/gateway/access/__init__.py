"""Access control of the gateway: authentication, scopes, limits. Both the HTTP and the gRPC server use it."""
