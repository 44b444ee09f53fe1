"""The ground floor: knows no business word."""
