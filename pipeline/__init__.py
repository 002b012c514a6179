"""Fill the holes in a table of image attributes and train a multi-label classifier on it."""
