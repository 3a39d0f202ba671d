"""Exports embedding models: reads a folder of sentence-transformers, builds the graph and measures its vectors."""
