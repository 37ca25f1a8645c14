"""Situation of tensorflow/tensorflow#47906: a callback sets base.trainable = True in a later epoch without compiling
again; the traced train function goes on with the variables it had, so fit never trains the base. The loop unfreezes
properly. (Run as plain Python, the callback would work: the mistake exists only in graph mode.)"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "trainable_flags"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/47906"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "update, second epoch"
UNFREEZE_AT = 1


def build_model():
    keras.utils.set_random_seed(23)
    base = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(32, activation="tanh"),
            layers.Dense(16, activation="tanh"),
        ],
        name="base",
    )
    base.trainable = False
    x = keras.Input((12,))
    return keras.Model(x, layers.Dense(4, name="head")(base(x)))


def make_dataset(split):
    rng = np.random.default_rng(50 if split == "train" else 51)
    y = rng.integers(0, 4, 640 if split == "train" else 128)
    centres = np.random.default_rng(4).normal(size=(4, 12))
    x = (centres[y] + rng.normal(0, 1.2, (len(y), 12))).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


class Unfreeze(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == UNFREEZE_AT:
            self.model.get_layer("base").trainable = True


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.SGD(0.1), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    h = model.fit(ds, epochs=epochs, callbacks=[Unfreeze()], verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def stage():
        opt, variables = keras.optimizers.SGD(0.1), model.trainable_variables

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = ce(y, model(x, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, variables), variables))
            return loss

        return step

    step, losses = stage(), []
    for epoch in range(epochs):
        if epoch == UNFREEZE_AT:
            model.get_layer("base").trainable = True
            step = stage()
        losses.append(float(np.mean([step(x, y) for x, y in ds])))
    return model, {"loss": losses}
