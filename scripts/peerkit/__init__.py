"""The same damaged captures, read by several programs."""
