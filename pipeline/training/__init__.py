"""Keras heads and networks: losses, fits, and the saved model."""
