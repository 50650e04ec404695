"""Benchmarks that anyone can run: a method of ours beside the ones it has to beat, on images whose answer is known."""
