"""Terms of sale by version, and the evidence that somebody accepted them."""
