"""A model's own chat template: compiled, tried and rendered, always in a process that can be ended.

A template is a program of whoever published the model. Nothing here tokenises or knows a client's API.
"""
