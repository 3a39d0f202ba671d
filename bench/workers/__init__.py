"""One module an engine, each run by its own interpreter: a plan on standard input, one JSON line on standard output.

Workers of peers import only the standard library, numpy and their engine; `bench.plan` and the files here allow that.
"""
