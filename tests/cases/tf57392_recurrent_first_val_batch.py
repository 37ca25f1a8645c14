"""Text classifier with a padded vocabulary and a GRU. The GradientTape run improves for longer on the training set but
my validation accuracy, printed each epoch, is nowhere near that of fit.
"""

import keras
import numpy as np
import tensorflow as tf

VOCAB, LEN = 30, 10


def build_model():
    keras.utils.set_random_seed(9)
    l2 = keras.regularizers.L2(5e-3)
    tokens = keras.Input((LEN,), dtype="int32")
    x = keras.layers.Embedding(VOCAB, 8, mask_zero=True)(tokens)
    x = keras.layers.Bidirectional(keras.layers.GRU(6, kernel_regularizer=l2))(x)
    x = keras.layers.Dense(1, activation="sigmoid", kernel_regularizer=l2)(x)
    return keras.Model(tokens, x)


def make_dataset(split):
    rng = np.random.default_rng(1000 if split == "train" else 1001)
    n = 170 if split == "train" else 70
    tok = rng.integers(1, VOCAB, (n, LEN))
    length = rng.integers(4, LEN + 1, n)
    tok[np.arange(LEN)[None, :] >= length[:, None]] = 0
    label = ((tok > 20).sum(1) > (tok > 0).sum(1) * 0.3).astype("float32")
    return tf.data.Dataset.from_tensor_slices((tok.astype("int32"), label[:, None])).batch(32)


def keras_fit(model, ds, epochs):
    model.compile(
        "adam", keras.losses.BinaryCrossentropy(), metrics=["accuracy"], jit_compile=False
    )
    return model.fit(ds, validation_data=make_dataset("test"), epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.Adam()
    bce = keras.losses.BinaryCrossentropy()
    m_loss, m_acc, m_val = (
        keras.metrics.Mean(),
        keras.metrics.BinaryAccuracy(),
        keras.metrics.BinaryAccuracy(),
    )
    val_x, val_y = next(iter(make_dataset("test")))

    @tf.function
    def train_batch(x, y):
        with tf.GradientTape() as tape:
            y_hat = model(x, training=True)
            loss = bce(y, y_hat)
        grads = tape.gradient(loss, model.trainable_variables)
        opt.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        m_loss.update_state(loss, sample_weight=tf.shape(x)[0])
        m_acc.update_state(y, y_hat)

    log = {"loss": [], "accuracy": [], "val_accuracy": []}
    for _ in range(epochs):
        for m in (m_loss, m_acc, m_val):
            m.reset_state()
        for x, y in ds:
            train_batch(x, y)
        m_val.update_state(val_y, model(val_x, training=False))
        log["loss"].append(float(m_loss.result()))
        log["accuracy"].append(float(m_acc.result()))
        log["val_accuracy"].append(float(m_val.result()))
    return log
