"""The story of a vendor and its customers, told through the HTTP doors."""
