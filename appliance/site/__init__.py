"""What the operator decides for the whole site: the routes of models, and which models the site accepts."""
