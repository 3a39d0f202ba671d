"""The gRPC API: its schema, and the stubs that `make proto` generates from it."""
