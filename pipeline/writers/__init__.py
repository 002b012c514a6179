"""Command line that gives a filled table to other tools, and takes back what people said there."""
