"""Triton's own HTTP API for clients, with the gateway's access control and limits. Triton's own HTTP server is off."""
