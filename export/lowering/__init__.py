"""Lowerings: from an architecture description and a checkpoint's tensors to a graph for one runtime."""
