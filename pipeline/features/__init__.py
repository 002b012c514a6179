"""The frozen backbone: its registry and weights, extraction, cache and store of features."""
