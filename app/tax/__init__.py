"""Which tax a sale bears, and why: pure rules over dated, cited data (R-TAX)."""
