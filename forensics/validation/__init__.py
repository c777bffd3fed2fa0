"""Checks by cryptography, and verdicts as intervals of time."""
