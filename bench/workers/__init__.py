"""One module an engine, run by its own interpreter: an assignment on standard input, a JSON line on standard output.

Workers of peers import only the standard library, numpy and their engine; `bench.assignment` and the files here
allow that.
"""
