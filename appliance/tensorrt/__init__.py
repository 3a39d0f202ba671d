"""Plans, the files that TensorRT compiles: built on the box that runs them, kept on disk, proved before use.

It holds no model in memory and runs none: the engine does that.
"""
