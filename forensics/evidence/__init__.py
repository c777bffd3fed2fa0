"""Responses to distinct signatures, their sightings and key RRsets."""
