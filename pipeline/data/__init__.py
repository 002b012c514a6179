"""The user's table and pictures: cells, rows, splits, pixels and corrections. Knows no model."""
