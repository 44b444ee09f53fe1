"""Terms of sale by version, the evidence that somebody accepted them, and what was agreed apart from them."""
