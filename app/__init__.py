"""BLP sells, licenses and provisions a software vendor's product."""
