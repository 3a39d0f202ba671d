"""One module per engine, run by its own interpreter: assignment on standard input, JSON line on standard output.

Workers of peers import only the standard library, numpy and their engine. `bench.assignment` and the files in this
folder need no more.
"""
