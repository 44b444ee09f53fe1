"""Which features and quantities an account holds, and until when."""
