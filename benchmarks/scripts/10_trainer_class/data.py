import numpy as np

NUM_USERS = 200
NUM_ITEMS = 120


def load_ratings(n=6000, seed=0):
    """(user, item) -> rating 1..5, drawn from a small latent factor model."""
    rng = np.random.RandomState(seed)
    u_f = rng.normal(size=(NUM_USERS, 4))
    i_f = rng.normal(size=(NUM_ITEMS, 4))
    users = rng.randint(0, NUM_USERS, n)
    items = (NUM_ITEMS * rng.beta(1.0, 2.5, n)).astype("int64")
    raw = 3.4 + 0.5 * (u_f[users] * i_f[items]).sum(-1) + rng.normal(scale=0.3, size=n)
    ratings = np.clip(np.round(raw), 1, 5).astype("float32")
    return users.astype("int32"), items.astype("int32"), ratings


def split(users, items, ratings, test_fraction=0.1, seed=1):
    n = len(ratings)
    perm = np.random.RandomState(seed).permutation(n)
    n_test = int(n * test_fraction)
    te, tr = perm[:n_test], perm[n_test:]
    return (users[tr], items[tr], ratings[tr]), (users[te], items[te], ratings[te])
