"""Other projects' weights: read and written as NumPy arrays, without models."""
