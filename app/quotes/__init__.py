"""What sales offers: a request, then an offer with its revisions, until somebody accepts one of them (R-ORD-3)."""
