"""Customer organizations and their people, the vendor's staff, sign-in, API keys, legal entities."""
