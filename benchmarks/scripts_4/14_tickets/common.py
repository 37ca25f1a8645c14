"""Shared by run_fit.py and run_loop.py: data, network, final report."""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras
from keras import layers

VOCAB, LEN, N_QUEUES = 90, 14, 5
BATCH, EPOCHS, LR = 48, 16, 5e-3


def _tickets(n, rng):
    queue = rng.integers(0, N_QUEUES, n)
    words = rng.integers(1, VOCAB, (n, LEN))
    own = 1 + queue[:, None] * 8 + rng.integers(0, 8, (n, LEN))
    words = np.where(rng.random((n, LEN)) < 0.25, own, words)
    keep = np.arange(LEN)[None] < rng.integers(5, LEN + 1, (n, 1))
    noisy = rng.random(n) < np.linspace(0.0, 0.5, n)    # agents get tired over the day
    queue = np.where(noisy, rng.integers(0, N_QUEUES, n), queue)
    return np.where(keep, words, 0).astype("int32"), queue.astype("int64")


def data():
    rng = np.random.default_rng(414)
    return _tickets(302, rng), _tickets(130, rng), _tickets(250, rng)


def network(seed=17):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        keras.Input((LEN,), dtype="int32"),
        layers.Embedding(VOCAB, 24, mask_zero=True),
        layers.GlobalAveragePooling1D(),
        layers.Dense(32, activation="relu"),
        layers.Dense(N_QUEUES),
    ])


def report(name, model):
    _, _, (x, y) = data()
    logits = model.predict(x, verbose=0)
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    nll = -logp[np.arange(len(y)), y].mean()
    print(f"{name}: test nll {nll:.4f}  accuracy {(logits.argmax(1) == y).mean():.3f}")
