"""Report: how can the linear and the deep part of a wide-and-deep net have an optimizer each?
One side puts both into a train_step and calls fit, the other writes the loop with one tape
and cuts the list of gradients in two. Both are right and train alike.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "none"
SOURCE = "https://github.com/jrzaurin/Wide-and-Deep-Keras/issues/2"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

CROSSED = 30


def make_dataset(split):
    rng = np.random.default_rng(81)
    effect = rng.normal(size=CROSSED)
    rng = np.random.default_rng(82 if split == "train" else 83)
    n = 750 if split == "train" else 150
    cross = rng.integers(0, CROSSED, n)
    cont = rng.normal(size=(n, 5)).astype("float32")
    logit = effect[cross] + np.sin(2 * cont[:, 0]) + cont[:, 1] * cont[:, 2]
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype("float32")[:, None]
    wide = np.eye(CROSSED, dtype="float32")[cross]
    return tf.data.Dataset.from_tensor_slices(({"wide": wide, "deep": cont}, y)).batch(30)


def build_model():
    keras.utils.set_random_seed(45)
    wide = keras.Input((CROSSED,), name="wide")
    deep = keras.Input((5,), name="deep")
    lin = keras.layers.Dense(1, use_bias=False, name="linear_out")(wide)
    h = keras.layers.Dense(24, activation="relu", name="deep_1")(deep)
    h = keras.layers.Dense(12, activation="relu", name="deep_2")(h)
    dn = keras.layers.Dense(1, name="deep_out")(h)
    return keras.Model({"wide": wide, "deep": deep}, keras.layers.Add()([lin, dn]))


def split_variables(net):
    linear = net.get_layer("linear_out").trainable_variables
    deep = []
    for name in ("deep_1", "deep_2", "deep_out"):
        deep += net.get_layer(name).trainable_variables
    return linear, deep


class WideDeep(keras.Model):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.mean_loss = keras.metrics.Mean(name="bce")

    def compile(self, linear_optimizer, deep_optimizer):
        super().compile()
        self.linear_optimizer = linear_optimizer
        self.deep_optimizer = deep_optimizer
        self.bce = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, x, training=None):
        return self.net(x, training=training)

    def train_step(self, data):
        x, y = data
        linear, deep = split_variables(self.net)
        with tf.GradientTape(persistent=True) as tape:
            loss = self.bce(y, self(x, training=True))
        lin_grads = tape.gradient(loss, linear)
        deep_grads = tape.gradient(loss, deep)
        del tape
        self.linear_optimizer.apply_gradients(zip(lin_grads, linear))
        self.deep_optimizer.apply_gradients(zip(deep_grads, deep))
        self.mean_loss.update_state(loss)
        return {"bce": self.mean_loss.result()}


def optimizers():
    return keras.optimizers.Ftrl(0.1, l1_regularization_strength=1e-3), keras.optimizers.Adagrad(0.05)


def keras_fit(model, ds, epochs):
    wd = WideDeep(model)
    wd.compile(*optimizers())
    h = wd.fit(ds, epochs=epochs, verbose=0)
    return model, {"bce": [float(v) for v in h.history["bce"]]}


def custom_loop(model, ds, epochs):
    ftrl, adagrad = optimizers()
    linear, deep = split_variables(model)
    both = linear + deep

    @tf.function
    def go(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            ce = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_mean(ce)
        g = tape.gradient(loss, both)
        adagrad.apply(g[len(linear):], deep)
        ftrl.apply(g[:len(linear)], linear)
        return loss

    curve = []
    for _ in range(epochs):
        values = [go(x, y) for x, y in ds]
        curve.append(float(sum(values)) / len(values))
    return model, {"bce": curve}
