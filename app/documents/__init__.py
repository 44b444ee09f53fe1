"""Turns facts into paper and mail: given everything as arguments, it knows no database and no clock."""
