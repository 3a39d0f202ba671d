"""Measures the appliance and other engines on the same weights and machine: `python -m bench`. It asserts no timing."""
