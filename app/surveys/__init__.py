"""Every purchase, renewal and expansion is followed by one question."""
