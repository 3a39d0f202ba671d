"""`python -m bench soak`: many clients on few slots, and whether each got its own answer or a clear refusal."""
