"""The transfer-learning tutorial case: frozen convolutional base, one output unit without
activation, BinaryCrossentropy(from_logits=True) and metrics=['accuracy'] - which cuts the
raw logits at 0.5 instead of 0. The hand-written loop thresholds at zero. The trained
weights and the loss agree, the accuracies do not.
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "metric_definition_differs"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/41413"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "accuracy of the first epoch"

IMG = 16
base_learning_rate = 0.02


def build_model():
    keras.utils.set_random_seed(1)
    base_model = keras.Sequential([
        layers.Input((IMG, IMG, 3)),
        layers.Conv2D(8, 3, strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
    ])
    base_model.trainable = False
    inputs = keras.Input((IMG, IMG, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = base_model(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(1)(x)
    return keras.Model(inputs, outputs)


def make_dataset(split):
    rng = np.random.default_rng({"train": 100, "test": 200}[split])
    n = {"train": 608, "test": 128}[split]
    y = rng.integers(0, 2, size=(n, 1))
    x = rng.integers(60, 200, size=(n, IMG, IMG, 3)).astype("float32")
    x[..., 0] += 40.0 * y[:, :, None]          # one class is a bit redder
    x[..., 2] -= 25.0 * y[:, :, None]
    ds = tf.data.Dataset.from_tensor_slices((x, y.astype("float32")))
    return ds.batch(32).prefetch(2)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.RMSprop(learning_rate=base_learning_rate),
                  loss=keras.losses.BinaryCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    history = model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)
    return model, history.history


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.RMSprop(learning_rate=base_learning_rate)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    val_ds = make_dataset("test")
    log = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = bce(y, logits)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss, logits

    def hits(y, logits):
        return int(np.sum((logits.numpy() > 0) == (y.numpy() > 0.5)))

    for epoch in range(epochs):
        n = right = 0
        total = 0.0
        for x, y in ds:
            loss, logits = train(x, y)
            total += float(loss) * len(y)
            right += hits(y, logits)
            n += len(y)
        log["loss"].append(total / n)
        log["accuracy"].append(right / n)

        n = right = 0
        total = 0.0
        for x, y in val_ds:
            logits = model(x, training=False)
            total += float(bce(y, logits)) * len(y)
            right += hits(y, logits)
            n += len(y)
        log["val_loss"].append(total / n)
        log["val_accuracy"].append(right / n)
        print({k: round(v[-1], 4) for k, v in log.items()})
    return model, log
