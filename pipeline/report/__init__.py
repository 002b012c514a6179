"""One HTML page that tells it all: what came in, what was filled and how far to trust it."""
