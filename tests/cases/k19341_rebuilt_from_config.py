"""I keep a config of the network around so that both experiments use the same architecture.

Same data, same optimizer, nothing random in the loop, and still GradientTape ends up somewhere else than fit.
"""

import keras
import numpy as np
import tensorflow as tf

N_FEATURES = 9


def build_model():
    keras.utils.set_random_seed(11)
    inp = keras.layers.Input((N_FEATURES,), name="input_layer")
    h = keras.layers.Dense(N_FEATURES, activation="selu", kernel_initializer="lecun_normal")(inp)
    h = keras.layers.Dense(N_FEATURES, activation="selu", kernel_initializer="lecun_normal")(h)
    return keras.Model(inp, keras.layers.Dense(1)(h))


def make_dataset(split):
    n, seed = (410, 0) if split == "train" else (130, 1)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, N_FEATURES)).astype("float32")
    y = x[:, :1] * 2.0 - x[:, 3:4] * x[:, 4:5] + 0.1 * rng.normal(size=(n, 1))
    return tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.Adam(1e-3), loss=keras.losses.MeanSquaredError(), jit_compile=False
    )
    return model, model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    net = keras.Model.from_config(model.get_config())
    opt = keras.optimizers.Adam(1e-3)
    mse = keras.losses.MeanSquaredError()

    @tf.function
    def step(xb, yb):
        with tf.GradientTape() as tape:
            loss = mse(yb, net(xb, training=True))
        opt.apply_gradients(
            zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables, strict=True)
        )
        return loss

    history = {"loss": []}
    for _ in range(epochs):
        avg = keras.metrics.Mean()
        for xb, yb in ds:
            avg.update_state(step(xb, yb), sample_weight=tf.shape(xb)[0])
        history["loss"].append(float(avg.result()))
    return net, history
