"""The parts of request bodies that APIs have in common, checked once; and how a body becomes a checked value."""
