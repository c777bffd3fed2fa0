"""Forensic analyzer of captured DNS traffic: when, where and why DNSSEC validation failed."""

__version__ = "0.1.0"
