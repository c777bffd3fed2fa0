"""Messages to transactions: pairing queries with responses."""
