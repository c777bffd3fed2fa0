"""Render one report: JSON for machines, a page, Markdown with figures, a terminal summary.

Everything here reads one dictionary, which *is* `report.json` (DESIGN section 5), and computes
nothing that is not in it. Every text in it may have been chosen by an attacker.
"""
