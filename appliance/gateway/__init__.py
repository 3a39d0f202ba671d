"""The gateway: one asyncio process that serves the HTTP and gRPC APIs and sends requests to Triton.

It tokenises, renders chat templates and maps errors. It runs no model and imports neither the engine nor ONNX Runtime.
"""
