"""Command lines that turn other layouts into the label table the pipeline reads."""
