"""Values that the gateway, Triton's shim and the engine share: requests, answers, settings, errors as text.

Nothing here imports a library that computes.
"""
