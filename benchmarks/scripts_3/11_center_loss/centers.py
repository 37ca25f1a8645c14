"""
Center loss (Wen et al. 2016) as a Keras layer.

The layer has centers which are NOT trained but dragged behind the features, its loss goes through add_loss(), and
a noise layer with its own generator sits in front. Question from the review: "your loop never mentions the
center loss, the centers or the noise, are you sure it trains the same thing as fit?"
"""
import keras
import numpy as np
import tensorflow as tf
from keras import ops

CLASSES, FEATURES = 3, 6


@keras.saving.register_keras_serializable()
class Jitter(keras.layers.Layer):
    def __init__(self, scale, seed, **kw):
        super().__init__(**kw)
        self.scale, self.seed = scale, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        if not training:
            return x
        return x + self.scale * keras.random.normal(ops.shape(x), seed=self.generator)


@keras.saving.register_keras_serializable()
class Centers(keras.layers.Layer):
    def __init__(self, strength=0.05, alpha=0.2, **kw):
        super().__init__(**kw)
        self.strength, self.alpha = strength, alpha

    def build(self, shapes):
        self.centers = self.add_weight(
            shape=(CLASSES, shapes[0][-1]), initializer="zeros", trainable=False, name="centers"
        )

    def call(self, inputs, training=False):
        features, label = inputs
        one_hot = ops.one_hot(ops.reshape(label, (-1,)), CLASSES)
        mine = ops.matmul(one_hot, self.centers)
        self.add_loss(self.strength * ops.mean(ops.sum(ops.square(features - mine), axis=-1)))
        if training:
            diff = ops.matmul(ops.transpose(one_hot), ops.stop_gradient(mine - features))
            count = ops.sum(one_hot, axis=0)[:, None]
            self.centers.assign_sub(self.alpha * diff / (1.0 + count))
        return features


def spirals(n, seed):
    r = np.random.default_rng(seed)
    label = r.integers(0, CLASSES, n)
    rad = r.uniform(0.1, 1, n)
    phi = 4 * rad + label * 2 * np.pi / CLASSES + r.normal(0, 0.15, n)
    return np.stack([rad * np.cos(phi), rad * np.sin(phi)], 1).astype("float32"), label.astype("int32")[:, None]


def build():
    keras.utils.set_random_seed(7)
    xy = keras.Input((2,), name="xy")
    label = keras.Input((1,), dtype="int32", name="label")
    h = Jitter(0.05, seed=11)(xy)
    h = keras.layers.Dense(32, activation="relu")(h)
    h = keras.layers.Dense(FEATURES, activity_regularizer=keras.regularizers.L1(1e-4), name="features")(h)
    h = Centers(name="center_loss")([h, label])
    return keras.Model({"xy": xy, "label": label}, keras.layers.Dense(CLASSES, activation="softmax")(h))


def ds(x, y):
    return tf.data.Dataset.from_tensor_slices(({"xy": x, "label": y}, y)).batch(50)


class Loop:
    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer
        self.ce = keras.losses.SparseCategoricalCrossentropy()
        self.total = keras.metrics.Mean()

    @tf.function
    def step(self, inputs, y):
        with tf.GradientTape() as tape:
            p = self.model(inputs, training=True)
            loss = sum(self.model.losses, self.ce(y, p))
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.total.update_state(loss, sample_weight=ops.shape(y)[0])

    def train(self, data, epochs):
        for _ in range(epochs):
            self.total.reset_state()
            for inputs, y in data:
                self.step(inputs, y)
            yield float(self.total.result())


if __name__ == "__main__":
    x, y = spirals(480, 1)         # nine batches of 50 and one of 30
    epochs = 8

    one = build()
    one.compile(keras.optimizers.Adam(5e-3), loss="sparse_categorical_crossentropy")
    fit_losses = one.fit(ds(x, y), epochs=epochs, verbose=0).history["loss"]

    two = build()
    loop_losses = list(Loop(two, keras.optimizers.Adam(5e-3)).train(ds(x, y), epochs))

    for e, (a, b) in enumerate(zip(fit_losses, loop_losses), 1):
        print(f"{e:2d}  {a:.6f}  {b:.6f}")
    print("centers, fit :", np.round(one.get_layer("center_loss").centers.numpy()[0], 4))
    print("centers, loop:", np.round(two.get_layer("center_loss").centers.numpy()[0], 4))
    xt, yt = spirals(600, 2)
    for name, m in ("fit", one), ("loop", two):
        p = m.predict({"xy": xt, "label": yt}, verbose=0)
        print(name, "test accuracy", np.mean(p.argmax(1) == yt[:, 0]))
