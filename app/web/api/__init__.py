"""JSON doors under /v1: shapes beside the endpoint."""
