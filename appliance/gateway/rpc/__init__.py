"""gRPC as such: keys, records and errors, whatever the service."""
