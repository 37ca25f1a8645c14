"""Images as people have them (folders, NumPy archives, Parquet), written once as the IDX files
everything here reads.
"""
