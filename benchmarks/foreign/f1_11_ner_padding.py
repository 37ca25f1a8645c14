"""Named entity tags over padded sentences. The question in the report is whether the padded
part should be in the loss. Under fit the Embedding's mask (mask_zero) takes the padding
out; the training loop averages the token losses over everything, padding with label 0
included. BiGRU tagger, words looked up inside the pipeline.
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

CAUSE = "mask_ignored"
SOURCE = "https://github.com/kaiyinzhou/BERT-NER/issues/3"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "loss of the first batch"

WORDS = ["peter", "anna", "maria", "london", "paris", "rome", "visits", "leaves", "loves",
         "the", "old", "town", "of", "in", "spring", "and"]
TAGS = {"O": 0, "PER": 1, "LOC": 2}
MAX_LEN = 14


def tag_of(word):
    if word in ("peter", "anna", "maria"):
        return TAGS["PER"]
    return TAGS["LOC"] if word in ("london", "paris", "rome") else TAGS["O"]


lookup = layers.StringLookup(vocabulary=WORDS, mask_token="")


def build_model():
    keras.utils.set_random_seed(404)
    ids = keras.Input((MAX_LEN,), dtype="int64", name="ids")
    h = layers.Embedding(lookup.vocabulary_size(), 12, mask_zero=True)(ids)
    h = layers.Bidirectional(layers.GRU(10, return_sequences=True))(h)
    probs = layers.Dense(len(TAGS), activation="softmax")(h)
    return keras.Model(ids, probs, name="tagger")


def make_dataset(split):
    rng = np.random.default_rng(15 if split == "train" else 16)
    sents, tags = [], []
    for _ in range(480 if split == "train" else 96):
        n = int(rng.integers(3, MAX_LEN + 1))
        s = [WORDS[i] for i in rng.integers(0, len(WORDS), n)]
        sents.append(s + [""] * (MAX_LEN - n))
        tags.append([tag_of(w) for w in s] + [0] * (MAX_LEN - n))
    ds = tf.data.Dataset.from_tensor_slices((np.array(sents), np.array(tags, "int32"))).batch(24)
    return ds.map(lambda s, t: (lookup(s), t))


def keras_fit(model, ds, epochs):
    model.compile(keras.optimizers.Adam(5e-3),
                  loss=keras.losses.SparseCategoricalCrossentropy())
    history = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": history.history["loss"]}


def custom_loop(model, ds, epochs):
    adam = keras.optimizers.Adam(5e-3)

    @tf.function
    def train_batch(token_ids, label_ids):
        with tf.GradientTape() as tape:
            probs = model(token_ids, training=True)
            one_hot_labels = tf.one_hot(label_ids, depth=len(TAGS), dtype=tf.float32)
            log_probs = tf.math.log(tf.clip_by_value(probs, 1e-7, 1.0))
            per_token_loss = -tf.reduce_sum(one_hot_labels * log_probs, axis=-1)
            loss = tf.reduce_mean(per_token_loss)
        variables = model.trainable_variables
        adam.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    history = []
    for epoch in range(1, epochs + 1):
        sums = 0.0
        sentences = 0
        for token_ids, label_ids in ds:
            b = token_ids.shape[0]
            sums += b * train_batch(token_ids, label_ids).numpy()
            sentences += b
        history.append(float(sums / sentences))
        print("Epoch %d, loss %.4f" % (epoch, history[-1]))
    return model, {"loss": history}
