"""Benchmarks of whole programs on a synthetic capture that this package makes itself."""
