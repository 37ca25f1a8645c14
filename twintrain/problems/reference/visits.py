"""visits: how often does somebody see a doctor within a year?"""

TASK = "counts"
LABEL = "mdvis"
METRIC = "deviance"

CATEGORIES = ("idp", "hlthg", "hlthf", "hlthp")

SLICES = (("idp",), ("hlthp",), ("disea",))
