"""What a customer has from when until when, renewed by terms."""
