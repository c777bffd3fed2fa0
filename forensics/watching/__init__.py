"""The command `watch`: captures judged as they come, and notices of what changed."""
