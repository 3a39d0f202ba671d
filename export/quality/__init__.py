"""How much an export changed what the model says: the artefact's graph against the unquantised checkpoint.

It measures on a small text set of its own and judges nothing but the preset's tolerance.
"""
