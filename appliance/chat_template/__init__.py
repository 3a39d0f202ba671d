"""Compiles and renders a model's own chat template, always in a separate process that can be ended.

A template is a program written by the model's publisher. This package does not tokenise and is independent of the
clients' APIs.
"""
