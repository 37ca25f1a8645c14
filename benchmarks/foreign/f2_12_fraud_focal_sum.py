"""Report: a popular Keras focal loss gives another value for every batch size, as it sums over
the rows where all other Keras losses take the mean (fixed later by a pull request).
The loop carries such a copy of the function, fit uses the built-in focal loss with the
same alpha and gamma.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "loss_reduction"
SOURCE = "https://github.com/umbertogriffo/focal-loss-keras/issues/5"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "loss of the first step (batch size times as large)"

ALPHA = 0.25
GAMMA = 2.0


def make_dataset(split):
    rng = np.random.default_rng(15 if split == "train" else 16)
    n = 768 if split == "train" else 256
    x = rng.normal(size=(n, 9)).astype("float32")
    score = 1.4 * x[:, 0] - x[:, 1] * x[:, 2] + 0.5 * rng.normal(size=n)
    fraud = (score > 1.9).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, fraud[:, None])).batch(24)


def build_model():
    keras.utils.set_random_seed(33)
    inp = keras.Input((9,))
    h = keras.layers.Dense(20, activation="relu", kernel_initializer="he_normal")(inp)
    h = keras.layers.Dense(10, activation="relu", kernel_initializer="he_normal")(h)
    return keras.Model(inp, keras.layers.Dense(1, activation="sigmoid")(h))


def binary_focal_loss(gamma=2.0, alpha=0.25):
    def focal(y_true, y_pred):
        eps = keras.config.epsilon()
        y_pred = tf.clip_by_value(y_pred, eps, 1.0 - eps)
        p_t = tf.where(tf.equal(y_true, 1), y_pred, 1 - y_pred)
        alpha_t = tf.where(tf.equal(y_true, 1), alpha, 1 - alpha)
        weight = alpha_t * tf.pow(1 - p_t, gamma)
        loss = -weight * tf.math.log(p_t)
        return tf.reduce_sum(loss)
    return focal


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.02, momentum=0.5),
        loss=keras.losses.BinaryFocalCrossentropy(
            apply_class_balancing=True, alpha=ALPHA, gamma=GAMMA))
    hist = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": hist.history["loss"]}


def custom_loop(model, ds, epochs):
    loss_fn = binary_focal_loss(GAMMA, ALPHA)
    optimizer = keras.optimizers.SGD(0.02, momentum=0.5)
    history = {"loss": []}
    for epoch in range(epochs):
        epoch_loss = keras.metrics.Mean()
        for x, y in ds:
            with tf.GradientTape() as tape:
                p = model(x, training=True)
                loss = loss_fn(y, p)
            optimizer.apply_gradients(
                zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            epoch_loss.update_state(loss)
        history["loss"].append(float(epoch_loss.result()))
    return model, history
