"""lm-evaluation-harness, unmodified, on a real box and on torch: `make quality`."""
