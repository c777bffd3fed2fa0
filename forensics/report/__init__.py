"""Incidents to report.json, report.html and report.md."""
