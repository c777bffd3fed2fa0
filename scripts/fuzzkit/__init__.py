"""Damaged input for every reader and kernel, made from the project's own captures."""
