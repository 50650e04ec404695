"""Finding the transform: where to start, where to look, what it costs, and how to go downhill."""
