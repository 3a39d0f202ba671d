"""Authentication and authorisation: API keys, principals, scopes, certificates. It has no listener and no protocol."""
