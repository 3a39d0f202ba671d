"""Who may do what: API keys, principals, scopes, certificates. It listens nowhere and knows no protocol."""
