"""TensorRT's plans: built on the box that runs them, stored on disk, verified before use.

The engine loads and runs them; this package does not.
"""
