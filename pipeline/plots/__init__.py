"""Frames and arrays to pictures."""
