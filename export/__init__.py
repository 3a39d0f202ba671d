"""Turns a verified checkpoint into an optimised ONNX artefact. `appliance` never imports this package."""
