"""Cheap questions: tokens of a text, and how long a request would wait. They never stand in a queue behind answers."""
