"""Provisioned installations and the tasks that make them."""
