"""The command line: a package per noun, a module per verb. It holds no rules of its own, it calls the levels below."""

from appliance.cli.rim import main

__all__ = ["main"]
