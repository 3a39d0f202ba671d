"""Exports rerankers: reads a cross-encoder with one label, builds the graph and measures its logits."""
