"""A rating model in the recommender style: string ids, two towers, its own train_step.
The report: what fit prints and keeps in its history is the loss of the last batch of the
epoch, because train_step hands back the raw tensors and nothing accumulates them. The
hand-written loop keeps running means over the epoch. Weights are the same on both sides.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "last_batch_logged"
SOURCE = "https://github.com/tensorflow/recommenders/issues/585"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "the figures of the first epoch; weights stay equal"

USERS = [f"user_{i}" for i in range(40)]
MOVIES = [f"movie_{i}" for i in range(25)]


def tower(vocab, name):
    return keras.Sequential([
        keras.layers.StringLookup(vocabulary=vocab),
        keras.layers.Embedding(len(vocab) + 1, 8, embeddings_regularizer=keras.regularizers.L2(1e-3)),
    ], name=name)


class RatingModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.user_tower = tower(USERS, "user")
        self.movie_tower = tower(MOVIES, "movie")
        self.head = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
        self.task = keras.losses.MeanSquaredError()

    def call(self, features, training=False):
        u = self.user_tower(features["user_id"])
        m = self.movie_tower(features["movie_title"])
        return self.head(tf.concat([u, m], axis=1))

    def compute_task_loss(self, inputs, training=False):
        features, rating = inputs
        return self.task(rating, self(features, training=training))

    def train_step(self, inputs):
        with tf.GradientTape() as tape:
            loss = self.compute_task_loss(inputs, training=True)
            regularization_loss = sum(self.losses)
            total_loss = loss + regularization_loss
        g = tape.gradient(total_loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(g, self.trainable_variables))
        return {"loss": loss, "regularization_loss": regularization_loss, "total_loss": total_loss}


def build_model():
    keras.utils.set_random_seed(11)
    m = RatingModel()
    m({"user_id": tf.constant(["user_0"]), "movie_title": tf.constant(["movie_0"])})
    return m


def make_dataset(split):
    taste = np.random.default_rng(3)
    u_bias, m_bias = taste.normal(size=len(USERS)), taste.normal(size=len(MOVIES))
    rng = np.random.default_rng(4 if split == "train" else 5)
    n = 960 if split == "train" else 192
    u = rng.integers(0, len(USERS), n)
    m = rng.integers(0, len(MOVIES), n)
    r = np.clip(3.5 + 0.7 * u_bias[u] + 0.7 * m_bias[m] + 0.3 * rng.normal(size=n), 0.5, 5.0)
    x = {"user_id": np.array(USERS)[u], "movie_title": np.array(MOVIES)[m]}
    return tf.data.Dataset.from_tensor_slices((x, r[:, None].astype("float32"))).batch(48)


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adagrad(0.1))
    history = model.fit(ds, epochs=epochs, verbose=0)
    return model, history.history


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adagrad(0.1)
    means = {k: keras.metrics.Mean() for k in ("loss", "regularization_loss", "total_loss")}
    log = {k: [] for k in means}

    @tf.function
    def train_step(features, rating):
        with tf.GradientTape() as tape:
            loss = model.compute_task_loss((features, rating), training=True)
            reg = tf.add_n(model.losses)
            total = loss + reg
        g = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(g, model.trainable_variables))
        n = tf.shape(rating)[0]
        means["loss"].update_state(loss, sample_weight=n)
        means["regularization_loss"].update_state(reg, sample_weight=n)
        means["total_loss"].update_state(total, sample_weight=n)

    for _ in range(epochs):
        for m in means.values():
            m.reset_state()
        for features, rating in ds:
            train_step(features, rating)
        for k, m in means.items():
            log[k].append(float(m.result()))
    return model, log
