"""Two-phase fine-tuning of a small conv net: first only the head, then everything.
As in the report about `trainable` being changed after compile: the fit side flips
base.trainable to True and just calls fit again without compiling, so the train function
traced in phase one goes on updating the head only. The eager loop takes the variables
afresh in each step. (Plain SGD, so there is no optimizer state which could differ.)
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "trainable_flags"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/47906"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "first update of the second phase: the base does not move under fit"


def build_model():
    keras.utils.set_random_seed(31)
    base = keras.Sequential([
        keras.Input((12, 12, 1)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ], name="base")
    base.trainable = False
    image = keras.Input((12, 12, 1))
    out = keras.layers.Dense(4, activation="softmax", name="head")(base(image))
    return keras.Model(image, out)


def make_dataset(split):
    rng = np.random.default_rng(8 if split == "train" else 9)
    n = 480 if split == "train" else 120
    y = rng.integers(0, 4, n)
    x = rng.normal(0, 0.3, (n, 12, 12, 1))
    for i, k in enumerate(y):          # four kinds of stripes
        if k == 0:
            x[i, ::2] += 1.0
        elif k == 1:
            x[i, :, ::2] += 1.0
        elif k == 2:
            x[i, :6] += 1.0
        else:
            x[i, ::2, ::2] += 1.5
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(20)


def phases(epochs):
    second = epochs // 2
    return epochs - second, second


def keras_fit(model, ds, epochs):
    first, second = phases(epochs)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    losses = list(model.fit(ds, epochs=first, verbose=0).history["loss"])
    if second:
        model.get_layer("base").trainable = True
        losses += model.fit(ds, epochs=second, verbose=0).history["loss"]
    return model, {"loss": losses}


def custom_loop(model, ds, epochs):
    first, _ = phases(epochs)
    opt = keras.optimizers.SGD(0.1)
    scce = keras.losses.SparseCategoricalCrossentropy()
    avg = keras.metrics.Mean()
    log = {"loss": []}
    for epoch in range(epochs):
        if epoch == first:
            model.get_layer("base").trainable = True
            opt = keras.optimizers.SGD(0.1)     # the old one knows only the head
        avg.reset_state()
        for images, labels in ds:
            with tf.GradientTape() as tape:
                l = scce(labels, model(images, training=True))
            w = model.trainable_variables
            opt.apply_gradients(zip(tape.gradient(l, w), w))
            avg.update_state(l, sample_weight=len(labels))
        log["loss"].append(float(avg.result()))
        print("epoch", epoch, "trainable:", len(w), "loss:", log["loss"][-1])
    return model, log
