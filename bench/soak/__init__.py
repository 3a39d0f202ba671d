"""`python -m bench soak`: many clients on few slots; checks that each gets its own answer or a clear rejection."""
