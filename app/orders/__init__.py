"""Previews (a priced, taxed offer that expires) and orders (a preview being bought)."""
