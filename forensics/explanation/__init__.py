"""What a validating resolver would have concluded for one question at one instant."""
