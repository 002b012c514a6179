"""Arrays to scores, intervals, thresholds and tables; NaN cells are unknown and not scored."""
