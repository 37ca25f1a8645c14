"""Report: a physics library's training helper calls compile again in every epoch, which makes a
fresh optimizer and throws the Adam moments away; without it training is smoother.
Same here for a net that learns a decay law from noisy measurements plus the residual of
u' = -u: fit is called per epoch after a new compile, the loop keeps one optimizer.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "optimizer_state_reset"
SOURCE = "https://github.com/pythoncymetric/cymetric/pull/4"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "first update of the second epoch"

RES_WEIGHT = 0.5


def make_dataset(split):
    rng = np.random.default_rng(31 if split == "train" else 32)
    n = 500 if split == "train" else 100
    t = rng.uniform(0, 3, (n, 1)).astype("float32")
    u = 2.0 * np.exp(-t) + 0.05 * rng.normal(size=t.shape)
    return tf.data.Dataset.from_tensor_slices((t, u.astype("float32"))).batch(20)


def build_model():
    keras.utils.set_random_seed(4)
    return keras.Sequential([
        keras.Input((1,)),
        keras.layers.Dense(20, activation="tanh"),
        keras.layers.Dense(20, activation="tanh"),
        keras.layers.Dense(1),
    ])


def pinn_loss(net, t, u):
    with tf.GradientTape() as inner:
        inner.watch(t)
        out = net(t, training=True)
    du = inner.gradient(out, t)
    residual = du + out
    return tf.reduce_mean(tf.square(out - u)) + RES_WEIGHT * tf.reduce_mean(tf.square(residual))


class Pinn(keras.Model):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.total = keras.metrics.Mean(name="total_loss")

    def call(self, t):
        return self.net(t)

    def train_step(self, data):
        t, u = data
        with tf.GradientTape() as tape:
            loss = pinn_loss(self.net, t, u)
        gradients = tape.gradient(loss, self.net.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.net.trainable_variables))
        self.total.update_state(loss)
        return {"total_loss": self.total.result()}


def keras_fit(model, ds, epochs):
    pinn = Pinn(model)
    history = {"total_loss": []}
    for epoch in range(epochs):
        pinn.compile(optimizer=keras.optimizers.Adam(learning_rate=5e-3))
        h = pinn.fit(ds, epochs=1, verbose=0)
        history["total_loss"].append(float(h.history["total_loss"][-1]))
    return model, history


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(learning_rate=5e-3)

    @tf.function
    def step(t, u):
        with tf.GradientTape() as tape:
            loss = pinn_loss(model, t, u)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    history = {"total_loss": []}
    for epoch in range(epochs):
        losses = [step(t, u).numpy() for t, u in ds]
        history["total_loss"].append(float(np.mean(losses)))
    return model, history
