"""Which models are loaded: models of the set are loaded and unloaded while the box serves others."""
