"""Exports a verified checkpoint to an optimised ONNX artefact. `appliance` never imports this package."""
