"""The front door: one asyncio process that speaks OpenAI's HTTP API and a gRPC API, and asks Triton for tokens.

It tokenises, renders chat templates and maps errors. It runs no model and imports neither the engine nor ONNX Runtime.
"""
