"""Whom and where the vendor may not sell to."""
