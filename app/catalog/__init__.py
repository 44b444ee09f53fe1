"""What is sold: plans, add-ons, prices with validity."""
