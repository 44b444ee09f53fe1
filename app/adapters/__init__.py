"""One folder for each outside party: our words inside, theirs outside."""
