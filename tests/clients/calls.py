"""The calls that clients make, and the protocol between the runner and a client's file.

A client's file defines functions with these names. The runner starts the file in the client's own environment,
describes the box in environment variables, and reads from a file one line of JSON for each call that ended.
"""

from __future__ import annotations

CALLS = {
    "models": "lists the models",
    "chat": "gets an answer at once",
    "stream": "gets an answer piece by piece, with its usage",
    "turns": "continues a conversation",
    "tools": "lets the model decide whether to call a tool, and returns the tool's result",
    "forced": "requires a tool call",
    "schema": "gets an answer that matches a schema",
    "cancel": "leaves during an answer, and the box stops generating",
    "errors": "gets the client's own exceptions: wrong key, unknown model, a prompt that is too long",
    "tokens": "counts the tokens of a prompt",
    "documents": "sends a text document",
    "embeddings": "gets the vectors of texts, and its own exceptions for wrong ones",
    "search": "finds the passage of a folder of documents that answers a question, and lets the model answer with it",
}

HTTP = "APPLIANCE_CLIENT_HTTP"  # "127.0.0.1:8080"
GRPC = "APPLIANCE_CLIENT_GRPC"
METRICS = "APPLIANCE_CLIENT_METRICS"
TRITON = "APPLIANCE_CLIENT_TRITON"
TOKENIZER = "APPLIANCE_CLIENT_TOKENIZER"  # the path of the model's tokenizer.json
MODEL = "APPLIANCE_CLIENT_MODEL"
EMBEDDER = "APPLIANCE_CLIENT_EMBEDDER"
KEY = "APPLIANCE_CLIENT_KEY"
REPORT = "APPLIANCE_CLIENT_REPORT"
