"""What an export produces and the engine serves: a folder of files and the manifest that pins each of them."""

from appliance.artefact.manifest import FileEntry, Generation, Manifest, ModelShape, TextGeneration

__all__ = ["FileEntry", "Generation", "Manifest", "ModelShape", "TextGeneration"]
