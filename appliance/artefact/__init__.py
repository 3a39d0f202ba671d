"""The output of an export, which the engine serves: a folder of files, and a manifest with the digest of each."""

from appliance.artefact.manifest import Embedding, FileEntry, Generation, Manifest, ModelShape, TextGeneration

__all__ = ["Embedding", "FileEntry", "Generation", "Manifest", "ModelShape", "TextGeneration"]
