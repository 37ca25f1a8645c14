"""Small image set. My loop overfits in no time while fit with the same net keeps generalising. Same dataset object."""

import keras
import numpy as np
import tensorflow as tf


def build_model():
    keras.utils.set_random_seed(21)
    img = keras.Input((12, 12, 3))
    z = keras.layers.Conv2D(6, 3, activation="relu")(img)
    z = keras.layers.MaxPooling2D()(z)
    z = keras.layers.Flatten()(z)
    return keras.Model(img, keras.layers.Dense(2, activation="softmax")(z))


def make_dataset(split):
    n = 260 if split == "train" else 90
    r = np.random.default_rng(n)
    y = r.integers(0, 2, n)
    x = r.random((n, 12, 12, 3)) * 0.6
    x[y == 1, :, :4, 0] += 0.4  # class 1: red on the left
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(24)


def augment(i, xy):
    images, labels = xy
    seed = tf.stack([i, 17])
    images = tf.image.stateless_random_flip_left_right(images, seed)
    images = tf.image.stateless_random_brightness(images, 0.2, seed + 1)
    return tf.clip_by_value(images, 0.0, 1.0), labels


def keras_fit(model, ds, epochs):
    model.compile(
        keras.optimizers.Adam(2e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model.fit(ds.enumerate().map(augment), epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    adam = keras.optimizers.Adam(2e-3)
    loss_f = keras.losses.SparseCategoricalCrossentropy()
    losses, accs = [], []
    for _e in range(epochs):
        m1, m2 = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
        for images, labels in ds:
            with tf.GradientTape() as gt:
                out = model(images, training=True)
                batch_loss = loss_f(labels, out)
            adam.apply(
                gt.gradient(batch_loss, model.trainable_variables), model.trainable_variables
            )
            m1.update_state(batch_loss, sample_weight=images.shape[0])
            m2.update_state(labels, out)
        losses.append(float(m1.result()))
        accs.append(float(m2.result()))
    return {"loss": losses, "accuracy": accs}
