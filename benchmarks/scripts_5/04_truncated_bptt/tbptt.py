"""Truncated BPTT on long sensor signals.

``StatefulTrainer`` lets keras carry the hidden state (stateful=True, fit).
``ExplicitTrainer`` hands the state around itself.  Streams are cut into windows so that row b of
batch k+1 continues row b of batch k.
"""
import numpy as np
import tensorflow as tf
from keras import Input, Model, callbacks, layers, optimizers, utils

STREAMS, WINDOW, CHUNKS, FEATS, UNITS = 16, 20, 30, 3, 24


def simulate(seed=0):
    rng = np.random.default_rng(seed)
    total = WINDOW * CHUNKS
    t = np.arange(total)[None] / 12.0 + rng.uniform(0, 6, (STREAMS, 1))
    base = np.stack([np.sin(t), np.cos(0.37 * t), rng.normal(0, 1, t.shape)], -1)
    level = np.zeros((STREAMS, total))
    for i in range(1, total):
        level[:, i] = 0.97 * level[:, i - 1] + 0.1 * base[:, i, 2] + 0.03 * base[:, i, 0]
    return base.astype("float32"), level[..., None].astype("float32")


def as_batches(a):
    # (streams, total, f) -> (chunks * streams, window, f), chunk major
    a = a.reshape(STREAMS, CHUNKS, WINDOW, -1)
    return a.transpose(1, 0, 2, 3).reshape(CHUNKS * STREAMS, WINDOW, -1)


class ForgetBetweenEpochs(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        for layer in self.model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()


class StatefulTrainer:
    def __init__(self):
        utils.set_random_seed(42)
        inp = Input(batch_shape=(STREAMS, WINDOW, FEATS))
        h = layers.GRU(UNITS, return_sequences=True, stateful=True, name="gru")(inp)
        out = layers.Dense(1, name="level")(h)
        self.model = Model(inp, out)

    def train(self, x, y, epochs):
        self.model.compile(optimizer=optimizers.Nadam(3e-3), loss="mse")
        return self.model.fit(as_batches(x), as_batches(y), batch_size=STREAMS, epochs=epochs, shuffle=False,
                              callbacks=[ForgetBetweenEpochs()], verbose=2)


class ExplicitTrainer:
    def __init__(self, weights):
        x = Input((None, FEATS))
        s = Input((UNITS,))
        h, last = layers.GRU(UNITS, return_sequences=True, return_state=True, name="gru")(x, initial_state=s)
        self.model = Model([x, s], [layers.Dense(1, name="level")(h), last])
        self.model.set_weights(weights)
        self.optimizer = optimizers.Nadam(3e-3)

    @tf.function
    def _window(self, x, y, state):
        with tf.GradientTape() as tape:
            pred, state = self.model([x, state], training=True)
            err = tf.reduce_mean((pred - y) ** 2)
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(err, variables), variables))
        return err, state

    def train(self, x, y, epochs):
        for epoch in range(epochs):
            state = tf.zeros((STREAMS, UNITS))
            errs = []
            for start in range(0, x.shape[1], WINDOW):
                err, state = self._window(x[:, start:start + WINDOW], y[:, start:start + WINDOW], state)
                errs.append(float(err))
            print(f"explicit  epoch {epoch + 1}  mse {np.mean(errs):.5f}")


if __name__ == "__main__":
    x, y = simulate()
    a = StatefulTrainer()
    start = [w.copy() for w in a.model.get_weights()]
    a.train(x, y, epochs=6)

    b = ExplicitTrainer(start)
    b.train(x, y, epochs=6)
