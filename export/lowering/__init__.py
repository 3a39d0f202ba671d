"""Lowerings: each builds the graph for one runtime from an architecture description and a checkpoint's tensors."""
