"""Parts of request bodies that several APIs share, and the check that turns a body into a value."""
