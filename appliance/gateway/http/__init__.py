"""HTTP, independent of any API: connections, headers, bodies, keys, errors and answers."""
