"""'model.evaluate() does not yield the same accuracy as computing it manually using a
for-loop'. A small conv net for digits-like images; the loop computes the accuracy of each
batch and takes np.mean over the batches, although the last batch is much smaller than the
others, for training and for validation alike. Training itself agrees with fit.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "metric_batch_average"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/50881"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "accuracy and val_accuracy of the first epoch; weights and loss equal"

NUM = 5


def build_model():
    keras.utils.set_random_seed(55)
    model = keras.Sequential(name="lenet_ish")
    model.add(keras.Input((10, 10, 1)))
    model.add(keras.layers.Conv2D(8, 3, activation="relu"))
    model.add(keras.layers.Conv2D(8, 3, strides=2, activation="relu"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(NUM))
    return model


def make_dataset(split):
    proto = np.random.default_rng(6).normal(size=(NUM, 10, 10, 1))
    rng = np.random.default_rng(7 if split == "train" else 8)
    n = 776 if split == "train" else 200
    y = rng.integers(0, NUM, n)
    noise = np.full(n, 1.5)
    noise[-8:] = 6.0            # the archive ends with a few bad scans
    x = proto[y] + noise[:, None, None, None] * rng.normal(size=(n, 10, 10, 1))
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(64)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    h = model.fit(ds, validation_data=make_dataset("test"), epochs=epochs, verbose=0).history
    return model, {k: h[k] for k in ("loss", "accuracy", "val_accuracy")}


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam(1e-3)
    ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_loss = keras.metrics.Mean("loss")
    test_ds = make_dataset("test")
    out = {"loss": [], "accuracy": [], "val_accuracy": []}

    def batch_acc(labels, logits):
        return np.mean(np.argmax(logits.numpy(), axis=1) == labels.numpy())

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = ce(labels, logits)
        g = tape.gradient(loss, model.trainable_variables)
        opt.apply_gradients(zip(g, model.trainable_variables))
        train_loss.update_state(loss, tf.shape(images)[0])
        return logits

    for epoch in range(epochs):
        train_loss.reset_state()
        accs = []
        for images, labels in ds:
            accs.append(batch_acc(labels, step(images, labels)))
        val_accs = []
        for images, labels in test_ds:
            val_accs.append(batch_acc(labels, model(images, training=False)))
        out["loss"].append(float(train_loss.result()))
        out["accuracy"].append(float(np.mean(accs)))
        out["val_accuracy"].append(float(np.mean(val_accs)))
        print("Epoch", epoch, {k: v[-1] for k, v in out.items()})
    return model, out
