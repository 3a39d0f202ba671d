"""Conversations as values, whatever protocol brought them: into a prompt, and the model's words back into parts.

It knows how models write tool calls and thoughts. It knows no client's API and opens no connection.
"""
