"""flights: will a flight from New York arrive more than 15 minutes late, or never? A quarter do."""

TASK = "binary"
LABEL = "late"

# Most flights are in time, so that a model which always says so is right three times of four: what
# counts is whether late flights are put before others.
METRIC = "auc"

CATEGORIES = ("month", "weekday")

SLICES = (("origin",), ("carrier",), ("departure",))
