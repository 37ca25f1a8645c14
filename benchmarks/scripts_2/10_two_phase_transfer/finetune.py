"""Two-phase transfer learning on thermal images: head only, then everything with a small rate.

    python finetune.py --head-epochs 4 --tune-epochs 4

The "pretrained" base is trained here on another task (which way is the gradient), so nothing to download.
Phase 1 of both engines agrees to the last digit I look at. Phase 2 of the loop hardly gets better.
"""
import argparse

import keras
import numpy as np
import tensorflow as tf
from keras import layers

S = 12


def scenes(n, seed):
    r = np.random.default_rng(seed)
    yy, xx = np.mgrid[:S, :S] / S
    ang = r.uniform(0, 2 * np.pi, n)
    hot = r.integers(0, 4, n)
    x = np.cos(ang)[:, None, None] * xx + np.sin(ang)[:, None, None] * yy
    for i in range(n):
        for _ in range(hot[i]):
            cx, cy = r.uniform(.15, .85, 2)
            x[i] += 1.5 * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / .01)
    x += r.normal(0, .1, x.shape)
    return x[..., None].astype("float32"), (ang // (np.pi / 4)).astype("int32"), hot.astype("int32")


def pretrain():
    keras.utils.set_random_seed(99)
    x, direction, _ = scenes(800, 0)
    base = keras.Sequential([
        keras.Input((S, S, 1)),
        layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(16, 3, strides=2, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Flatten(),
    ], name="base")
    m = keras.Sequential([base, layers.Dense(8)])
    m.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    m.fit(x, direction, epochs=3, verbose=0)
    return base


def on_top(base):
    twin = keras.models.clone_model(base)
    twin.set_weights(base.get_weights())
    twin.trainable = False
    i = keras.Input((S, S, 1))
    # training=False keeps the batch norms of the base in inference mode, in both phases
    out = layers.Dense(4)(layers.Dense(24, activation="relu")(twin(i, training=False)))
    return keras.Model(i, out), twin


CE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def engine_fit(base, data, val, args):
    model, twin = on_top(base)
    hist = []
    for epochs, lr, free in ((args.head_epochs, 3e-3, False), (args.tune_epochs, 1e-3, True)):
        twin.trainable = free
        model.compile(keras.optimizers.Adam(lr), CE, metrics=["accuracy"])
        h = model.fit(*data, batch_size=args.batch, epochs=epochs, validation_data=val, verbose=0).history
        hist += list(zip(h["loss"], h["val_loss"], h["val_accuracy"]))
    return model, hist


class LoopEngine:
    def __init__(self, base, args):
        self.args = args
        self.model, self.twin = on_top(base)
        self.weights = self.model.trainable_variables
        self.loss = keras.metrics.Mean()

    def make_step(self, optimizer):
        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = CE(y, self.model(x, training=True))
            optimizer.apply_gradients(zip(tape.gradient(loss, self.weights), self.weights))
            self.loss.update_state(loss, sample_weight=tf.shape(x)[0])
        return step

    def phase(self, epochs, lr, free, data, val):
        self.twin.trainable = free
        step = self.make_step(keras.optimizers.Adam(lr))       # new optimizer, new graph
        ds = tf.data.Dataset.from_tensor_slices(data).shuffle(len(data[0])).batch(self.args.batch)
        for _ in range(epochs):
            self.loss.reset_state()
            for x, y in ds:
                step(x, y)
            p = self.model(val[0], training=False)
            acc = float(np.mean(np.argmax(p, 1) == val[1]))
            yield float(self.loss.result()), float(CE(val[1], p)), acc

    def run(self, data, val):
        a = self.args
        return [*self.phase(a.head_epochs, 3e-3, False, data, val), *self.phase(a.tune_epochs, 1e-3, True, data, val)]


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--head-epochs", type=int, default=10)
    ap.add_argument("--tune-epochs", type=int, default=10)
    ap.add_argument("--batch", type=int, default=32)
    args = ap.parse_args()

    base = pretrain()
    x, _, hot = scenes(900, 1)
    data, val = (x[:640], hot[:640]), (x[640:], hot[640:])
    model_fit, hist_fit = engine_fit(base, data, val, args)
    engine = LoopEngine(base, args)
    hist_loop = engine.run(data, val)
    for e, (f, l) in enumerate(zip(hist_fit, hist_loop), 1):
        print(f"{e:2d} {'head' if e <= args.head_epochs else 'tune'}",
              "fit  %.4f %.4f %.3f" % f, "   loop  %.4f %.4f %.3f" % l)
