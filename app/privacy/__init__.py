"""What is personal, its export and its erasure."""
