"""Why the classifier says what it says of a picture: ``python -m pipeline.explain``."""
