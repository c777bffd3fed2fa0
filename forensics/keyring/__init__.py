"""What is known of keys at a time: observed, supplied, built in."""
