"""Conversations, independent of any protocol: from turns to a prompt, and from the model's text to parts of an answer.

This package contains the formats in which models write tool calls and thoughts. It contains no client API and opens no
connection.
"""
