"""Which practice is worth how many points: a designed experiment between two recipes, and Shapley
shares of the gap.
"""
