"""My tape loop overfits badly (train loss far below, test loss far above the one of fit) with the same subclassed net.

Both start from the same weights.
"""

import keras
import numpy as np
import tensorflow as tf


class MyNet(keras.Model):
    def __init__(self, hidden=64, **kw):
        super().__init__(**kw)
        self.d1 = keras.layers.Dense(hidden, activation="relu")
        self.drop = keras.layers.Dropout(0.4, seed=2)
        self.d2 = keras.layers.Dense(5)

    def call(self, inputs, training=False):
        h = self.drop(self.d1(inputs), training=training)
        return self.d2(h)


def build_model():
    keras.utils.set_random_seed(2)
    net = MyNet()
    net.build((None, 10))
    return net


def make_dataset(split):
    seed, n = {"train": (1, 333), "test": (2, 111)}[split]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 10)).astype("float32")
    w = np.random.default_rng(0).normal(size=(10, 5))
    y = (x @ w + rng.gumbel(size=(n, 5))).argmax(1)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(3e-3)
    cce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_on(x, y):
        with tf.GradientTape() as tape:
            loss = cce(y, model(x))
        v = model.trainable_variables
        opt.apply_gradients(zip(tape.gradient(loss, v), v, strict=True))
        return loss

    hist = []
    for _ in range(epochs):
        weighted = [(float(train_on(x, y)), len(y)) for x, y in ds]
        hist.append(sum(a * b for a, b in weighted) / sum(b for _, b in weighted))
    return hist
