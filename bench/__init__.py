"""Measures the appliance and its peers on the same weights and machine: `python -m bench`. It asserts no timing."""
