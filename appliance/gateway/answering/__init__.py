"""The one way from an API to a model's answer."""
