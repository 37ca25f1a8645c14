"""Problems with public data, stated as a user states one; `twintrain data fetch NAME` brings data.
To begin one of your own, copy the one that is most like it.
"""
