"""HTTP as such: connections, heads, bodies, keys, errors and answers, whatever the API."""
