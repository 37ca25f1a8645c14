"""Bearing fault classification, small 1D CNN.

Backbone weights come from the 'normal operation' autoencoder (here: saved
earlier in this file from a quick reconstruction run).  Stage 1 trains the new
head, stage 2 everything with a smaller rate.
"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
import keras
from keras import layers

SEED = 21
HEAD_EPOCHS, ALL_EPOCHS = 5, 5
HEAD_LR, ALL_LR = 5e-3, 1e-3
BATCH = 32


def signals(n, rng):
    t = np.linspace(0, 1, 64)
    y = rng.integers(0, 3, n)
    f = np.array([4.0, 9.0, 9.0])[y]
    am = np.where(y == 2, 0.9, 0.0)
    ph = rng.uniform(0, 2 * np.pi, (n, 1))
    x = np.sin(2 * np.pi * f[:, None] * t + ph) * (1 + am[:, None] * np.sin(2 * np.pi * 2 * t))
    return (x + 0.35 * rng.standard_normal((n, 64)))[..., None].astype("float32"), y


def backbone():
    return keras.Sequential([
        keras.Input((64, 1)),
        layers.Conv1D(8, 7, strides=2, padding="same", activation="relu"),
        layers.Conv1D(16, 5, strides=2, padding="same", activation="relu"),
    ], name="backbone")


def pretrained_weights(x):
    keras.utils.set_random_seed(SEED)
    enc = backbone()
    dec = keras.Sequential([enc, layers.UpSampling1D(4), layers.Conv1D(1, 5, padding="same")])
    dec.compile("adam", "mse")
    dec.fit(x, x, epochs=2, batch_size=64, verbose=0)
    return enc.get_weights()


def classifier(weights):
    keras.utils.set_random_seed(SEED + 1)
    bb = backbone()
    bb.set_weights(weights)
    i = keras.Input((64, 1))
    h = layers.GlobalAveragePooling1D()(bb(i))
    h = layers.Dense(16, activation="relu")(h)
    return keras.Model(i, layers.Dense(3)(h))


rng = np.random.default_rng(SEED)
x, y = signals(384, rng)
xv, yv = signals(128, rng)
w0 = pretrained_weights(signals(256, rng)[0])
xent = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def feed():
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=4).batch(BATCH)


# ----------------------------------------------------------------- with fit
def with_fit():
    net = classifier(w0)
    bb = net.get_layer("backbone")
    bb.trainable = False
    net.compile(keras.optimizers.Adam(HEAD_LR), xent, metrics=["accuracy"])
    net.fit(feed(), epochs=HEAD_EPOCHS, verbose=0)
    bb.trainable = True
    net.compile(keras.optimizers.Adam(ALL_LR), xent, metrics=["accuracy"])
    net.fit(feed(), epochs=ALL_EPOCHS, verbose=0)
    return net


# ------------------------------------------------------------ with own class
class Finetuner:
    def __init__(self, net):
        self.net = net
        self.params = net.trainable_variables
        self.history = []

    def stage(self, lr, epochs):
        opt = keras.optimizers.Adam(lr)
        opt.build(self.params)

        @tf.function
        def step(xb, yb):
            with tf.GradientTape() as tape:
                loss = xent(yb, self.net(xb, training=True))
            grads = tape.gradient(loss, self.params)
            opt.apply_gradients(zip(grads, self.params))
            return loss

        mean = keras.metrics.Mean()
        data = feed()
        for _ in range(epochs):
            mean.reset_state()
            for xb, yb in data:
                mean.update_state(step(xb, yb), sample_weight=len(xb))
            self.history.append(float(mean.result()))


def with_class():
    net = classifier(w0)
    bb = net.get_layer("backbone")
    bb.trainable = False
    tuner = Finetuner(net)
    tuner.stage(HEAD_LR, HEAD_EPOCHS)
    bb.trainable = True
    tuner.stage(ALL_LR, ALL_EPOCHS)
    print("losses", np.round(tuner.history, 3))
    return net


if __name__ == "__main__":
    for name, make in (("fit", with_fit), ("class", with_class)):
        net = make()
        acc = (net.predict(xv, verbose=0).argmax(1) == yv).mean()
        print(f"{name:6s} validation accuracy {acc:.3f}")
