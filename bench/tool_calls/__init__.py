"""Measures how well the box recognises the tool calls that models write with `tool_choice: auto`."""
