"""A lab of verdicts: signed zones with one fault each, real servers, a real validator."""
