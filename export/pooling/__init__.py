"""Exports models that give numbers for a text: what the exports of embedding models and rerankers share."""
