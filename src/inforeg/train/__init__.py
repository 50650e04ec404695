"""Training: a recipe and images in, a model file out."""
