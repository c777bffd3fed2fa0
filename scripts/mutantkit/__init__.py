"""Whole runs of the program over damaged copies of real captures."""
