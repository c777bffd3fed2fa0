"""The lab: real servers in a network namespace of its own, a scripted incident, a recording."""
