"""train_on_batch in a loop, compared with fit: the report is about the figures it returns
(cumulative in some versions, per batch in others). This loop resets the metrics before
each call, so it always has the figures of the batch, and averages them by batch size.
Class weights are given on both sides. Correct code, both sides train alike.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "none"
SOURCE = "https://github.com/keras-team/keras/issues/22596"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

CLASS_WEIGHT = {0: 0.6, 1: 3.0}


def build_model():
    keras.utils.set_random_seed(73)
    m = keras.Sequential()
    m.add(keras.Input((10, 4)))
    m.add(keras.layers.LSTM(16))
    m.add(keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2"))
    m.add(keras.layers.Dense(1, activation="sigmoid"))
    return m


def make_dataset(split):
    rng = np.random.default_rng(81 if split == "train" else 82)
    n = 500 if split == "train" else 100
    x = rng.normal(size=(n, 10, 4)).astype("float32")
    y = (x[:, -3:, 0].sum(axis=1) > 1.8).astype("int32")    # some 15 % ones
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def compiled(model):
    model.compile(optimizer=keras.optimizers.RMSprop(2e-3, momentum=0.5),
                  loss="binary_crossentropy", metrics=["accuracy"])
    return model


def keras_fit(model, ds, epochs):
    h = compiled(model).fit(ds, epochs=epochs, class_weight=CLASS_WEIGHT, verbose=0)
    return model, h.history


def custom_loop(model, ds, epochs):
    compiled(model)
    batches = list(ds.as_numpy_iterator())
    log = {"loss": [], "accuracy": []}
    for epoch in range(epochs):
        figures = []
        for step, (xb, yb) in enumerate(batches):
            model.reset_metrics()
            out = model.train_on_batch(xb, yb, class_weight=CLASS_WEIGHT, return_dict=True)
            figures.append((len(xb), float(out["loss"]), float(out["accuracy"])))
            if step % 8 == 0:
                print(f"\repoch {epoch + 1} {step + 1}/{len(batches)} loss {out['loss']:.4f}", end="")
        sizes, losses, accs = map(np.array, zip(*figures))
        log["loss"].append(float((sizes * losses).sum() / sizes.sum()))
        log["accuracy"].append(float((sizes * accs).sum() / sizes.sum()))
        print()
    return model, log
