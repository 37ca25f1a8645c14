"""Named inputs in a dict, rescaled and one-hot encoded in the model; loss and accuracy by hand; eager."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def make_dataset(split):
    rng = np.random.default_rng(741 if split == "train" else 742)
    n = 232 if split == "train" else 64
    age = rng.uniform(18, 80, size=(n, 1)).astype("float32")
    income = rng.lognormal(size=(n, 1)).astype("float32")
    region = rng.integers(0, 5, size=(n,)).astype("int32")
    y = ((age[:, 0] > 45) ^ (region > 2)).astype("float32")[:, None]
    features = {"age": age, "income": income, "region": region}
    return tf.data.Dataset.from_tensor_slices((features, y)).batch(25)


def build_model():
    age = keras.Input((1,), name="age")
    income = keras.Input((1,), name="income")
    region = keras.Input((), dtype="int32", name="region")
    pieces = [
        layers.Rescaling(1 / 80)(age),
        income,
        layers.CategoryEncoding(5, output_mode="one_hot")(region),
    ]
    h = layers.Dense(16, activation="relu")(layers.Concatenate()(pieces))
    outputs = layers.Dense(1, activation="sigmoid")(h)
    return keras.Model({"age": age, "income": income, "region": region}, outputs)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="binary_crossentropy",
        metrics=[keras.metrics.BinaryAccuracy("acc")],
    )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(0.01)
    history = {"loss": [], "acc": []}
    for _ in range(epochs):
        losses, hits = [], []
        for features, y in ds:
            with tf.GradientTape() as tape:
                p = model(features, training=True)
                per_row = keras.losses.binary_crossentropy(y, p)
                loss = tf.reduce_mean(per_row)
            grads = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(grads, model.trainable_variables)
            losses += per_row.numpy().tolist()
            hits += ((p.numpy() > 0.5) == (y.numpy() > 0.5)).ravel().tolist()
        history["loss"].append(sum(losses) / len(losses))
        history["acc"].append(sum(hits) / len(hits))
    return history
