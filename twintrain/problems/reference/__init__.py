"""Problems with public data, stated as a user's own are (`twintrain data fetch NAME` gets the data).
To begin one of yours, copy the one that is most like it.
"""
