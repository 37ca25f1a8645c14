"""A subclassed residual model with batch norm, trained eagerly; validation in inference mode."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    n, seed = (260, 721) if split == "train" else (110, 722)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


class Residual(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units, use_bias=False)
        self.norm = keras.layers.BatchNormalization(momentum=0.8)

    def call(self, x, training=None):
        return x + keras.ops.relu(self.norm(self.dense(x), training=training))


class Regressor(keras.Model):
    def __init__(self):
        super().__init__()
        self.stem = keras.layers.Dense(12)
        self.blocks = [Residual(12), Residual(12)]
        self.head = keras.layers.Dense(1)

    def call(self, x, training=None):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(x)


def build_model():
    model = Regressor()
    model(np.zeros((1, 6), "float32"))
    return model


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.03), loss="mse")
    return model.fit(ds, epochs=epochs, verbose=0, validation_data=make_dataset("test"))


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.SGD(0.03)
    mse = keras.losses.MeanSquaredError()
    history = []
    for _ in range(epochs):
        sums = {"loss": 0.0, "val_loss": 0.0}
        counts = {"loss": 0, "val_loss": 0}
        for x, y in ds:
            with tf.GradientTape() as tape:
                loss = mse(y, model(x, training=True))
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
            sums["loss"] += float(loss) * len(x)
            counts["loss"] += len(x)
        for x, y in make_dataset("test"):
            sums["val_loss"] += float(mse(y, model(x, training=False))) * len(x)
            counts["val_loss"] += len(x)
        history.append({key: sums[key] / counts[key] for key in sums})
    return history
