"""The two twins and what they share."""
