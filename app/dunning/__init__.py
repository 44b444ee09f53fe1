"""Collecting what an automatic charge did not bring in: one ladder per account and currency (R-SUB-5, ADR 0030)."""
