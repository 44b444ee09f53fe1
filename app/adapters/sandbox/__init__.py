"""A payment provider, a mailbox and a clock that exist only for trying things out."""
