"""Forensic analyzer of captured DNS traffic: when, where and why DNSSEC validation failed.

In a notebook::

    import forensics
    analysis = forensics.analyze("outage.pcap.zst")
    analysis.incidents
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensics.api import Analysis, analyze

__version__ = "0.1.0"

__all__ = ["Analysis", "__version__", "analyze"]


def __getattr__(name: str) -> Any:
    """Load the interface for notebooks when it is asked for; the command line does without."""
    if name in ("Analysis", "analyze"):
        from forensics import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
