"""Which model of a route answers a request."""
