"""Cheap requests: the tokens of a text, and the estimated wait of a request. They never queue behind completions."""
