"""Measures how much an export changed a model's output: the artefact's graph against the unquantised checkpoint.

It uses a small text set of its own. Its only judgement is the preset's tolerance.
"""
