"""Filling the unknown cells: self-training, calibration, thresholds and the evidence for each cell.

Knows arrays and tables; neither images nor Keras applications.
"""
