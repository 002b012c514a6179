"""What is measured; none of it is part of the DVC pipeline."""
