"""
Intent classification for a chat bot with a one-block transformer.

I first wrote it with compile/fit and keras.optimizers.AdamW. For a seminar I then wrote the decoupled
weight decay down myself (Loshchilov & Hutter), everything else from Keras. As usual all kernels are decayed;
biases, layer norms and the two embedding tables are not.
"""
import argparse
import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers

VOCAB, LENGTH, CLASSES = 200, 16, 5
NO_DECAY = ["bias", "gamma", "beta", "embedding"]


def utterances(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    x = rng.integers(60, VOCAB, (n, LENGTH))
    for i, c in enumerate(y):
        # two key words of the intent at random places, and now and then one of another intent
        places = rng.choice(LENGTH, 3, replace=False)
        x[i, places[:2]] = 1 + c * 10 + rng.integers(0, 10, 2)
        if rng.random() < 0.4:
            x[i, places[2]] = 1 + rng.integers(0, 50)
    return x.astype("int32"), y.astype("int32")


class Positions(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(LENGTH, shape[-1]), initializer="zeros", name="position_embedding")

    def call(self, x):
        return x + self.table


def build_model(dim=24, heads=2):
    keras.utils.set_random_seed(31)
    tokens = keras.Input((LENGTH,), dtype="int32")
    # small table and a projection, as in ALBERT
    h = layers.Embedding(VOCAB, 8, name="embedding")(tokens)
    h = layers.Dense(dim, use_bias=False, name="embedding_projection")(h)
    h = Positions(name="positions")(h)
    att = layers.MultiHeadAttention(heads, dim // heads, name="attention")(h, h)
    h = layers.LayerNormalization(name="layer_norm_1")(h + att)
    ff = layers.Dense(2 * dim, activation="gelu", name="ff_in")(h)
    ff = layers.Dense(dim, name="ff_out")(ff)
    h = layers.LayerNormalization(name="layer_norm_2")(h + ff)
    h = layers.GlobalAveragePooling1D()(h)
    return keras.Model(tokens, layers.Dense(CLASSES, name="head")(h))


def with_keras(ds, args):
    model = build_model()
    opt = keras.optimizers.AdamW(args.lr, weight_decay=args.decay)
    opt.exclude_from_weight_decay(var_names=NO_DECAY)
    model.compile(
        optimizer=opt,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    hist = model.fit(ds, epochs=args.epochs, verbose=0)
    return model, hist.history["loss"]


def by_hand(ds, args):
    model = build_model()
    opt = keras.optimizers.Adam(args.lr)
    variables = model.trainable_variables
    decayed = [v for v in variables if not any(s in v.name for s in NO_DECAY)]
    print("decayed:", [v.path for v in decayed])

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        grads = tape.gradient(loss, variables)
        # w <- w - lr * decay * w, and only then the Adam step (same order as in Keras)
        for v in decayed:
            v.assign_sub(args.lr * args.decay * v)
        opt.apply(grads, variables)
        return loss

    losses = []
    for _ in range(args.epochs):
        total, rows = 0.0, 0
        for x, y in ds:
            total += float(step(x, y)) * len(x)
            rows += len(x)
        losses.append(total / rows)
    return model, losses


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=8)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--decay", type=float, default=0.2)
    args = p.parse_args()

    x, y = utterances(640, 1)
    xt, yt = utterances(400, 2)
    ds = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
    a, la = with_keras(ds, args)
    b, lb = by_hand(ds, args)
    for e, (p1, p2) in enumerate(zip(la, lb), 1):
        print(f"epoch {e}: {p1:.4f}  {p2:.4f}")
    for name, m in (("AdamW", a), ("by hand", b)):
        acc = np.mean(np.argmax(m.predict(xt, verbose=0), -1) == yt)
        norm = math.sqrt(sum(float(np.sum(np.square(w))) for w in m.get_weights()))
        print(f"{name:8s} test accuracy {acc:.3f}, weight norm {norm:.3f}")
