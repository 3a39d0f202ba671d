"""gRPC, independent of any service: keys, records and errors."""
