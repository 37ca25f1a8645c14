"""Comparisons over spans: records of retrainings, what they show together, and when to be told."""
