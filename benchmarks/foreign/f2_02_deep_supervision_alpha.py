"""Report: somebody with a deeply supervised net wants alpha * auxiliary loss + main loss with
alpha depending on the epoch, and finds that the value does not change inside the loss.
Here the trainer object keeps alpha as a plain float that is lowered after each epoch, but the
step is a tf.function which took the number up when it was traced; fit uses a variable
that a callback assigns.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "python_value_frozen_in_trace"
SOURCE = "https://github.com/keras-team/keras/issues/3155"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "second epoch: loss and gradients still use the first epoch's alpha"

STEPS, FEATS, CLASSES = 10, 4, 3
ALPHA0, DECAY = 1.5, 0.25


def make_dataset(split):
    rng = np.random.default_rng(0 if split == "train" else 1)
    n = 540 if split == "train" else 120
    y = rng.integers(0, CLASSES, n)
    t = np.linspace(0, 1, STEPS)
    x = np.sin((2 + 3 * y)[:, None, None] * t[None, :, None] + rng.uniform(0, 1, (n, 1, FEATS)))
    x = (x + 0.3 * rng.normal(size=x.shape)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).batch(20)


def build_model():
    keras.utils.set_random_seed(5)
    i = keras.Input((STEPS, FEATS))
    h = keras.layers.Conv1D(12, 3, activation="relu")(i)
    aux = keras.layers.Dense(CLASSES, name="aux")(keras.layers.GlobalAveragePooling1D()(h))
    h = keras.layers.GRU(12)(h)
    main = keras.layers.Dense(CLASSES, name="main")(h)
    return keras.Model(i, [aux, main])


def scce(y, logits):
    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def two_targets(x, y):
    return x, (y, y)


def keras_fit(model, ds, epochs):
    alpha = keras.Variable(ALPHA0, trainable=False, dtype="float32")

    def aux_loss(y, logits):
        return alpha * scce(y, logits)

    def main_loss(y, logits):
        return scce(y, logits)

    lower = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: alpha.assign(alpha * DECAY))
    model.compile(optimizer=keras.optimizers.RMSprop(2e-3), loss=[aux_loss, main_loss])
    h = model.fit(ds.map(two_targets), epochs=epochs, verbose=0, callbacks=[lower])
    return model, {"loss": h.history["loss"]}


class Trainer:
    def __init__(self, model):
        self.model = model
        self.alpha = ALPHA0
        self.optimizer = keras.optimizers.RMSprop(2e-3)
        self.total = keras.metrics.Mean()

    @tf.function
    def step(self, x, y):
        with tf.GradientTape() as tape:
            aux, main = self.model(x, training=True)
            loss = self.alpha * tf.reduce_mean(scce(y, aux)) + tf.reduce_mean(scce(y, main))
        g = tape.gradient(loss, self.model.trainable_weights)
        self.optimizer.apply_gradients(zip(g, self.model.trainable_weights))
        self.total.update_state(loss)

    def run(self, ds, epochs):
        losses = []
        for _ in range(epochs):
            self.total.reset_state()
            for x, y in ds:
                self.step(x, y)
            losses.append(float(self.total.result()))
            self.alpha *= DECAY
        return losses


def custom_loop(model, ds, epochs):
    trainer = Trainer(model)
    losses = trainer.run(ds, epochs)
    return trainer.model, {"loss": losses}
