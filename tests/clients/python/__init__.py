"""One file for each Python client and API. They run in the clients' own environments: they import nothing else."""
