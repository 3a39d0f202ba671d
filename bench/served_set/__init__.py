"""Several models on one box: what they cost each other."""
