"""Report: in a BERT tagger the sentences are padded to one length with label 0, and the loss is
summed over words and padding alike. The same with a small recurrent tagger here: with
mask_zero fit leaves the padded places out, the loop's own per-word cross entropy is averaged
over all places.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "mask_ignored"
SOURCE = "https://github.com/kaiyinzhou/BERT-NER/issues/3"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first step: gradients, and slightly the loss (untrained it is about log 5 anyway)"

MAX_LEN = 18
WORDS = 80
TAGS = 5  # 0 is also what padding is labelled with


def _sentences(count, seed):
    rng = np.random.default_rng(seed)
    ids = np.zeros((count, MAX_LEN), "int32")
    tags = np.zeros((count, MAX_LEN), "int32")
    for row in range(count):
        length = rng.integers(4, MAX_LEN + 1)
        words = rng.integers(1, WORDS, length)
        ids[row, :length] = words
        before = np.concatenate([[0], words[:-1]])
        tags[row, :length] = (words // 20 + (before > 40)) % TAGS
    return ids, tags


def make_dataset(split):
    ids, tags = _sentences(640, 5) if split == "train" else _sentences(128, 6)
    return tf.data.Dataset.from_tensor_slices((ids, tags)).batch(32)


def build_model():
    keras.utils.set_random_seed(12)
    tokens = keras.Input((MAX_LEN,), dtype="int32")
    h = keras.layers.Embedding(WORDS, 16, mask_zero=True)(tokens)
    h = keras.layers.Bidirectional(keras.layers.LSTM(12, return_sequences=True))(h)
    return keras.Model(tokens, keras.layers.Dense(TAGS, name="tags")(h))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.005),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": history.history["loss"]}


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(learning_rate=0.005)

    def tagging_loss(labels, logits):
        log_probs = tf.nn.log_softmax(logits, axis=-1)
        one_hot = tf.one_hot(labels, depth=TAGS, dtype=tf.float32)
        per_word = -tf.reduce_sum(one_hot * log_probs, axis=-1)
        return tf.reduce_mean(per_word)

    @tf.function
    def train_batch(ids, labels):
        with tf.GradientTape() as tape:
            logits = model(ids, training=True)
            loss = tagging_loss(labels, logits)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss

    log = {"loss": []}
    for epoch in range(epochs):
        running = 0.0
        steps = 0
        for ids, labels in ds:
            running += float(train_batch(ids, labels))
            steps += 1
        log["loss"].append(running / steps)
    return model, log
