"""The chat page for the browser, made of the files in this package. It uses only the public API."""
