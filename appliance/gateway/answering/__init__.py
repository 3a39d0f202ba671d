"""The path from every API to a model's answer."""
