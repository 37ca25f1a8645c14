"""Diagnosis of scripts and notebooks as they are, without four functions in them."""
