"""Fixtures of these tests."""

from __future__ import annotations

from explanation_asked import asked

__all__ = ["asked"]
