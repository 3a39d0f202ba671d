"""Compiles the operators, for `make setup` and for the wheel. It needs ziglang; the wheel does not contain it."""
