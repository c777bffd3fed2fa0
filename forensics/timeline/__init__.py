"""Verdicts and sightings to incidents with onset, recovery, place and cause."""
