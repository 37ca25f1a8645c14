"""Report: "fit" of a recommender model shows total_loss, loss and regularization_loss of the last
batch of the epoch only, because train_step puts the tensors of the step into the
dictionary it returns. The hand-written loop averages over the epoch; the two models end with
the same weights.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "last_batch_logged"
SOURCE = "https://github.com/tensorflow/recommenders/issues/585"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "logged losses of the first epoch; weights agree"

USERS, MOVIES = 60, 45


def make_dataset(split):
    rng = np.random.default_rng(11)
    pu, pm = rng.normal(size=(USERS, 3)), rng.normal(size=(MOVIES, 3))
    rng = np.random.default_rng(12 if split == "train" else 13)
    n = 864 if split == "train" else 200
    u, m = rng.integers(0, USERS, n), rng.integers(0, MOVIES, n)
    r = 3.0 + 0.6 * (pu[u] * pm[m]).sum(1) + 0.3 * rng.normal(size=n)
    r = np.clip(r, 1, 5).astype("float32").reshape(-1, 1)
    feats = {"user_id": u.astype("int32"), "movie_id": m.astype("int32")}
    return tf.data.Dataset.from_tensor_slices((feats, r)).batch(32)


def build_model():
    keras.utils.set_random_seed(8)
    reg = keras.regularizers.L2(1e-3)
    u = keras.Input((), dtype="int32", name="user_id")
    m = keras.Input((), dtype="int32", name="movie_id")
    ue = keras.layers.Embedding(USERS, 8, embeddings_regularizer=reg)(u)
    me = keras.layers.Embedding(MOVIES, 8, embeddings_regularizer=reg)(m)
    both = keras.layers.Concatenate()([ue, me, keras.layers.Multiply()([ue, me])])
    h = keras.layers.Dense(24, activation="relu")(both)
    return keras.Model({"user_id": u, "movie_id": m}, keras.layers.Dense(1)(h))


class MovielensModel(keras.Model):
    """tower model with its own train_step"""

    def __init__(self, rating_model):
        super().__init__()
        self.rating_model = rating_model
        self.task = keras.losses.MeanSquaredError()

    def call(self, features, training=None):
        return self.rating_model(features, training=training)

    def train_step(self, data):
        features, ratings = data
        with tf.GradientTape() as tape:
            loss = self.task(ratings, self(features, training=True))
            regularization_loss = sum(self.rating_model.losses)
            total_loss = loss + regularization_loss
        gradients = tape.gradient(total_loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss, "regularization_loss": regularization_loss,
                "total_loss": total_loss}


NAMES = ("loss", "regularization_loss", "total_loss")


def keras_fit(model, ds, epochs):
    m = MovielensModel(model)
    m.compile(optimizer=keras.optimizers.Adagrad(0.05))
    hist = m.fit(ds, epochs=epochs, verbose=0).history
    return model, {k: [float(v) for v in hist[k]] for k in NAMES}


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adagrad(0.05)
    task = keras.losses.MeanSquaredError()

    @tf.function
    def step(features, ratings):
        with tf.GradientTape() as tape:
            loss = task(ratings, model(features, training=True))
            reg = tf.add_n(model.losses)
            total = loss + reg
        grads = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss, reg, total

    log = {k: [] for k in NAMES}
    for _ in range(epochs):
        seen = [[float(v) for v in step(f, r)] for f, r in ds]
        for k, v in zip(NAMES, np.mean(seen, axis=0)):
            log[k].append(float(v))
    return model, log
