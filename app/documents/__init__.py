"""Renders documents and mails; knows no database."""
