"""Two heads: a price (regression) and sold yes/no. Shared trunk, dict outputs.

In fit the classifier matters, in my loop the price head eats it all.
"""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(17)
    x_in = keras.Input((8,), name="features")
    trunk = keras.layers.Dense(24, activation="relu")(x_in)
    price = keras.layers.Dense(1, name="price")(trunk)
    sold = keras.layers.Dense(1, activation="sigmoid", name="sold")(trunk)
    return keras.Model(x_in, {"price": price, "sold": sold})


def make_dataset(split):
    rng = np.random.default_rng(170 if split == "train" else 171)
    n = 360 if split == "train" else 120
    x = rng.normal(size=(n, 8)).astype("float32")
    price = (4 * x[:, :1] + x[:, 1:2] * 3).astype("float32")
    sold = (x[:, 2:3] - x[:, 0:1] > 0).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, {"price": price, "sold": sold})).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss={"price": "mse", "sold": "binary_crossentropy"},
        loss_weights={"price": 0.05, "sold": 1.0},
        jit_compile=False,
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(0.01)
    mse, bce = keras.losses.MeanSquaredError(), keras.losses.BinaryCrossentropy()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            out = model(x, training=True)
            price_loss = mse(y["price"], out["price"])
            sold_loss = bce(y["sold"], out["sold"])
            total = price_loss + sold_loss
        tv = model.trainable_variables
        opt.apply_gradients(zip(tape.gradient(total, tv), tv, strict=True))
        return total

    log = {"loss": []}
    for _ in range(epochs):
        mean_total = keras.metrics.Mean()
        for x, y in ds:
            mean_total.update_state(step(x, y), sample_weight=tf.shape(x)[0])
        log["loss"].append(float(mean_total.result()))
    return log
