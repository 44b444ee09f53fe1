"""Which tax is due, and why."""
