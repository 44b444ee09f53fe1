"""The double-entry books behind every figure."""
