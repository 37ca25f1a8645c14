#!/usr/bin/env python
"""
Implicit feedback recommender, BPR loss (Rendle et al. 2009), on simulated clicks.

    python bpr.py [--epochs 5] [--dim 16] [--batch 128]

Two trainers: keras (`BPRModel.fit`) and plain (`train_plain`). Keep them in sync!
"""
import argparse
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import keras

log = logging.getLogger("bpr")
N_USERS, N_ITEMS = 120, 90
L2 = 2e-5


def simulate(seed=0):
    """clicks from hidden taste vectors; the last click of every user is held out"""
    rng = np.random.RandomState(seed)
    taste, kind = rng.randn(N_USERS, 4), rng.randn(N_ITEMS, 4)
    score = taste @ kind.T + 0.5 * rng.randn(N_ITEMS)
    train, test, seen = [], [], {}
    for u in range(N_USERS):
        p = np.exp(score[u]) / np.exp(score[u]).sum()
        items = rng.choice(N_ITEMS, size=rng.randint(8, 20), replace=False, p=p)
        seen[u] = set(items[:-1].tolist())
        train += [(u, i) for i in items[:-1]]
        test.append(items[-1])
    return np.array(train, "int32"), np.array(test), seen


class Triplets(keras.utils.PyDataset):
    """(user, clicked item, not clicked item); new negatives and a new order in each epoch"""

    def __init__(self, clicks, seen, batch, seed=42):
        super().__init__()
        self.clicks, self.seen, self.batch = clicks, seen, batch
        self.rng = np.random.RandomState(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        rows = self.clicks[self.rng.permutation(len(self.clicks))]
        neg = self.rng.randint(0, N_ITEMS, len(rows))
        for k, u in enumerate(rows[:, 0]):
            while neg[k] in self.seen[u]:
                neg[k] = self.rng.randint(0, N_ITEMS)
        self.rows = np.column_stack([rows, neg]).astype("int32")

    def __len__(self):
        return -(-len(self.rows) // self.batch)

    def __getitem__(self, k):
        r = self.rows[k * self.batch:(k + 1) * self.batch]
        return ({"user": r[:, 0], "pos": r[:, 1], "neg": r[:, 2]},)


class BPRModel(keras.Model):
    def __init__(self, dim, **kw):
        super().__init__(**kw)
        reg = keras.regularizers.L2(L2)
        self.user_emb = keras.layers.Embedding(N_USERS, dim, embeddings_regularizer=reg, name="users")
        self.item_emb = keras.layers.Embedding(N_ITEMS, dim, embeddings_regularizer=reg, name="items")
        self.item_bias = keras.layers.Embedding(N_ITEMS, 1, embeddings_initializer="zeros",
                                                embeddings_regularizer=reg, name="bias")
        self.pair_acc = keras.metrics.Mean(name="pair_acc")

    def call(self, x):
        u = self.user_emb(x["user"])
        diff = self.item_emb(x["pos"]) - self.item_emb(x["neg"])
        b = self.item_bias(x["pos"]) - self.item_bias(x["neg"])
        return keras.ops.sum(u * diff, axis=-1) + b[:, 0]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = -keras.ops.mean(keras.ops.log_sigmoid(y_pred))
        self.pair_acc.update_state(keras.ops.cast(y_pred > 0, "float32"))
        return loss + keras.ops.sum(self.losses)

    def scores(self):
        u, i, b = (layer.embeddings.numpy() for layer in (self.user_emb, self.item_emb, self.item_bias))
        return u @ i.T + b[:, 0]


def hit_rate(model, test, seen, k=10):
    s = model.scores()
    hits = 0
    for u, target in enumerate(test):
        s[u, list(seen[u])] = -np.inf
        hits += int(target in np.argsort(-s[u])[:k])
    return hits / len(test)


class HitRate(keras.callbacks.Callback):
    def __init__(self, test, seen):
        super().__init__()
        self.test, self.seen = test, seen

    def on_epoch_end(self, epoch, logs=None):
        logs["hr10"] = hit_rate(self.model, self.test, self.seen)


def fresh_model(dim):
    keras.utils.set_random_seed(99)
    m = BPRModel(dim)
    z = np.zeros(1, "int32")
    m({"user": z, "pos": z, "neg": z})
    return m


def train_keras(args, clicks, test, seen):
    model = fresh_model(args.dim)
    model.compile(optimizer=keras.optimizers.Adagrad(args.lr))
    h = model.fit(Triplets(clicks, seen, args.batch), epochs=args.epochs, shuffle=False, verbose=0,
                  callbacks=[HitRate(test, seen)])
    return [dict(zip(h.history, v)) for v in zip(*h.history.values())]


def train_plain(args, clicks, test, seen):
    model = fresh_model(args.dim)
    opt = keras.optimizers.Adagrad(args.lr)
    data = Triplets(clicks, seen, args.batch)
    tables = [model.user_emb.embeddings, model.item_emb.embeddings, model.item_bias.embeddings]
    U, I, B = tables

    @tf.function(reduce_retracing=True)
    def step(user, pos, neg):
        with tf.GradientTape() as tape:
            u, p, n = tf.gather(U, user), tf.gather(I, pos), tf.gather(I, neg)
            margin = tf.einsum("bd,bd->b", u, p - n) + tf.squeeze(tf.gather(B, pos) - tf.gather(B, neg), -1)
            loss = tf.reduce_mean(tf.nn.softplus(-margin))
            # l2_loss is half the sum of squares
            loss += 2.0 * L2 * tf.add_n([tf.nn.l2_loss(t) for t in tables])
        grads = [tf.convert_to_tensor(g) for g in tape.gradient(loss, tables)]
        opt.apply(grads, tables)
        return loss, tf.math.count_nonzero(margin > 0)

    rows = []
    for _ in range(args.epochs):
        total, right, n = 0.0, 0, 0
        for k in range(len(data)):
            (b,) = data[k]
            loss, ok = step(*(tf.constant(b[c]) for c in ("user", "pos", "neg")))
            size = len(b["user"])
            total, right, n = total + float(loss) * size, right + int(ok), n + size
        data.on_epoch_end()
        rows.append({"loss": total / n, "pair_acc": right / n, "hr10": hit_rate(model, test, seen)})
    return rows


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=6)
    ap.add_argument("--dim", type=int, default=16)
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=0.3)
    args = ap.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    clicks, test, seen = simulate()
    log.info("%d clicks, %d users, %d items", len(clicks), N_USERS, N_ITEMS)
    for name, trainer in (("keras", train_keras), ("plain", train_plain)):
        for e, row in enumerate(trainer(args, clicks, test, seen), 1):
            log.info("%s epoch %d  loss %.4f  pair_acc %.4f  hr@10 %.3f",
                     name, e, row["loss"], row["pair_acc"], row["hr10"])
