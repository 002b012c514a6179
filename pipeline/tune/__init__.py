"""Search for settings of the final network: ``python -m pipeline.tune``."""
