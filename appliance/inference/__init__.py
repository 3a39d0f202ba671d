"""Values that the gateway, Triton's shim and the engine share: requests, answers, settings, errors as text.

This package imports no numeric library.
"""
