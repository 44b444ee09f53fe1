"""Invoices: numbered without gaps, immutable once finalized."""
