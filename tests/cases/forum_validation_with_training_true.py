"""Train loss and accuracy agree with fit up to rounding. Validation does not: mine is steady from the first epoch on,
val_accuracy of fit starts low and comes up later. There is a BatchNormalization after each Dense.
"""

import keras
import numpy as np
import tensorflow as tf


class BNClassifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.fc1 = keras.layers.Dense(20, use_bias=False)
        self.bn1 = keras.layers.BatchNormalization(momentum=0.9)
        self.fc2 = keras.layers.Dense(20, use_bias=False)
        self.bn2 = keras.layers.BatchNormalization(momentum=0.9)
        self.head = keras.layers.Dense(3)

    def call(self, x, training=None):
        x = keras.ops.relu(self.bn1(self.fc1(x), training=training))
        x = keras.ops.relu(self.bn2(self.fc2(x), training=training))
        return self.head(x)


def build_model():
    keras.utils.set_random_seed(70)
    m = BNClassifier()
    m(np.zeros((2, 6), "float32"), training=False)
    return m


def make_dataset(split):
    rng = np.random.default_rng(700 if split == "train" else 701)
    n = 340 if split == "train" else 150
    y = rng.integers(0, 3, n)
    x = 5.0 + 3.0 * (rng.normal(size=(n, 6)) + 1.2 * np.eye(3, 6)[y])
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(1e-3)
    cce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    val_ds = make_dataset("test")

    @tf.function
    def forward(x, y):
        logits = model(x, training=True)
        return logits, cce(y, logits)

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            logits, loss = forward(x, y)
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return logits, loss

    log = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    for _ in range(epochs):
        for prefix, data, fn in (("", ds, train), ("val_", val_ds, forward)):
            loss_m, acc_m = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
            for x, y in data:
                logits, loss = fn(x, y)
                loss_m.update_state(loss, sample_weight=tf.shape(x)[0])
                acc_m.update_state(y, logits)
            log[prefix + "loss"].append(float(loss_m.result()))
            log[prefix + "accuracy"].append(float(acc_m.result()))
    return log
