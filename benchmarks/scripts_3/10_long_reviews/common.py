import numpy as np
import keras
from keras import layers

MAXLEN = 24
EMB = 16
EPOCHS = 6
BATCH = 32
LR = 2e-3

GOOD = "great lovely superb fresh friendly warm delicious perfect quick charming".split()
BAD = "bland cold rude greasy slow noisy stale overpriced dirty awful".split()
REST = ("the a we had our table with and soup fish bread wine waiter evening place street menu order drinks "
        "parking kids garden music window came went sat asked got tea pasta salad dessert price").split()


def corpus(n, seed):
    """Title first ('verdict'), then the text. A few guests write novels and come to other topics at the end."""
    r = np.random.default_rng(seed)
    texts, stars = [], []
    for _ in range(n):
        good = r.random() < 0.5
        mine, other = (GOOD, BAD) if good else (BAD, GOOD)
        if r.random() < 0.2:
            length = int(r.integers(30, 60))
        else:
            length = int(r.integers(6, MAXLEN + 1))
        words = [str(w) for w in r.choice(REST, length)]
        for k in r.choice(min(length, 12), 2, replace=False):
            words[k] = str(r.choice(mine))
        if length > MAXLEN:
            for k in r.integers(length - 12, length, 2):
                words[k] = str(r.choice(other))
        texts.append(" ".join(words))
        stars.append(int(good))
    return texts, np.array(stars, "float32")[:, None]


def vocabulary(texts):
    words = sorted({w for t in texts for w in t.split()})
    return {w: i + 2 for i, w in enumerate(words)}      # 0 = padding, 1 = unknown


def tokenize(texts, vocab):
    return [[vocab.get(w, 1) for w in t.split()] for t in texts]


def build_model(vocab_size):
    keras.utils.set_random_seed(404)
    return keras.Sequential([
        keras.Input((MAXLEN,), dtype="int32"),
        layers.Embedding(vocab_size, EMB),
        layers.Conv1D(24, 3, padding="same", activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(1),
    ])
