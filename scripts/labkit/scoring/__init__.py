"""The score: the analyzer over the whole library, held against what the lab knows."""
