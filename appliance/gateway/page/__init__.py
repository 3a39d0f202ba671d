"""The page for people: a chat in the browser, made of the files beside this one. It stands on the API alone."""
