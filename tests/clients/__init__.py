"""Real, unmodified clients against a real box: `make client-test`."""
