"""Encoder/decoder with teacher forcing on the reversed-sequence toy problem, as in a blog
series on seq2seq. Padding is taken out of the loss by a masked loss function under fit and
by hand in the two-model GradientTape loop, in both cases divided by the number of real
tokens of the batch. Nothing is wrong here.
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "none"
SOURCE = "https://www.muratkarakaya.net/2022/11/seq2seq-learning-part-e-encoder-decoder.html"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

VOCAB, LEN, UNITS, PAD, BOS = 12, 7, 20, 0, 11


def build_model():
    keras.utils.set_random_seed(7)
    src = keras.Input((LEN,), dtype="int32")
    _, state = layers.GRU(UNITS, return_state=True)(layers.Embedding(VOCAB, 8)(src))
    encoder = keras.Model(src, state, name="encoder")

    dec_in = keras.Input((LEN,), dtype="int32")
    s0 = keras.Input((UNITS,))
    seq = layers.GRU(UNITS, return_sequences=True)(layers.Embedding(VOCAB, 8)(dec_in), initial_state=s0)
    decoder = keras.Model([dec_in, s0], layers.Dense(VOCAB)(seq), name="decoder")

    inputs = {"source": keras.Input((LEN,), dtype="int32", name="source"),
              "shifted": keras.Input((LEN,), dtype="int32", name="shifted")}
    logits = decoder([inputs["shifted"], encoder(inputs["source"])])
    return keras.Model(inputs, logits)


def make_dataset(split):
    rng = np.random.default_rng(91 if split == "train" else 92)
    n = 600 if split == "train" else 120
    src = np.zeros((n, LEN), "int32")
    tgt = np.zeros((n, LEN), "int32")
    for i in range(n):
        k = rng.integers(3, LEN + 1)
        s = rng.integers(1, 11, k)
        src[i, :k], tgt[i, :k] = s, s[::-1]
    shifted = np.concatenate([np.full((n, 1), BOS), tgt[:, :-1]], axis=1).astype("int32")
    return tf.data.Dataset.from_tensor_slices(({"source": src, "shifted": shifted}, tgt)).batch(25)


def masked_loss(y_true, y_pred):
    per_token = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
    real = tf.cast(y_true != PAD, per_token.dtype)
    return tf.reduce_sum(per_token * real) / tf.reduce_sum(real)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=masked_loss)
    history = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": history.history["loss"]}


def custom_loop(model, ds, epochs):
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    opt = keras.optimizers.Adam(5e-3)

    @tf.function
    def train_step(source, shifted, target):
        real = tf.where(target == PAD, 0.0, 1.0)
        with tf.GradientTape() as tape:
            state = encoder(source, training=True)
            logits = decoder([shifted, state], training=True)
            ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=logits)
            loss = tf.math.divide_no_nan(tf.reduce_sum(ce * real), tf.reduce_sum(real))
        variables = encoder.trainable_variables + decoder.trainable_variables
        opt.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    log = {"loss": []}
    for epoch in range(epochs):
        batch_losses, rows = [], []
        for features, target in ds:
            batch_losses.append(float(train_step(features["source"], features["shifted"], target)))
            rows.append(int(tf.shape(target)[0]))
        # fit weighs each batch by its number of sentences, so do the same
        log["loss"].append(float(np.dot(batch_losses, rows) / np.sum(rows)))
        print(f"Epoch {epoch + 1} Loss {log['loss'][-1]:.4f}")
    return model, log
