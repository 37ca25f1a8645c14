"""Report: a discussion whether the distillation term of a Keras example must be scaled by T squared.
Both sides here do scale it. fit gets the teacher's soft answers in advance, stuck to the
labels; the loop asks the teacher in every step. Both keep the weights of the epoch with the
best validation figure by hand. Nothing is wrong.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "none"
SOURCE = "https://github.com/keras-team/keras-io/issues/869"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

D, K = 12, 5
T, LAM = 3.0, 0.3
_centers = np.random.default_rng(123).normal(size=(K, D)).astype("float32")


def make_dataset(split):
    rng = np.random.default_rng(1 if split == "train" else 2)
    n = 620 if split == "train" else 155
    y = rng.integers(0, K, n).astype("int32")
    x = _centers[y] + 0.9 * rng.normal(size=(n, D)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(32)


def build_model():
    keras.utils.set_random_seed(90)
    return keras.Sequential([
        keras.Input((D,)),
        keras.layers.Dense(10, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("relu"),
        keras.layers.Dense(K),
    ], name="student")


def teacher_model():
    # nearest centre, written as one linear layer
    t = keras.Sequential([keras.Input((D,)), keras.layers.Dense(K)], name="teacher")
    t.set_weights([_centers.T, -0.5 * (_centers ** 2).sum(1)])
    t.trainable = False
    return t


def validation_loss(model):
    total, rows = 0.0, 0
    for x, y in make_dataset("test"):
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=False))
        total += float(tf.reduce_sum(ce))
        rows += len(x)
    return total / rows


class KeepBest(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.best, self.weights, self.val = float("inf"), None, []

    def on_epoch_end(self, epoch, logs=None):
        self.val.append(validation_loss(self.model))
        if self.val[-1] < self.best:
            self.best, self.weights = self.val[-1], self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


def keras_fit(model, ds, epochs):
    teacher = teacher_model()

    def attach(x, y):
        soft = tf.nn.softmax(teacher(x, training=False) / T)
        return x, tf.concat([tf.one_hot(y, K), soft], axis=1)

    def loss(target, logits):
        hard, soft = target[:, :K], target[:, K:]
        ce = keras.losses.categorical_crossentropy(hard, logits, from_logits=True)
        kl = keras.losses.kl_divergence(soft, keras.ops.softmax(logits / T))
        return LAM * ce + (1 - LAM) * kl * T ** 2

    keep = KeepBest()
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=loss)
    h = model.fit(ds.map(attach), epochs=epochs, callbacks=[keep], verbose=0)
    return model, {"loss": h.history["loss"], "val_loss": keep.val}


def custom_loop(model, ds, epochs):
    teacher = teacher_model()
    opt = keras.optimizers.Adam(5e-3)
    log = {"loss": [], "val_loss": []}
    best, best_weights = float("inf"), None
    for _ in range(epochs):
        seen = keras.metrics.Mean()
        for x, y in ds:
            q = tf.nn.softmax(teacher(x, training=False) / T)
            with tf.GradientTape() as tape:
                z = model(x, training=True)
                hard = tf.nn.sparse_softmax_cross_entropy_with_logits(y, z)
                distill = tf.reduce_sum(q * (tf.math.log(q) - tf.nn.log_softmax(z / T)), axis=1)
                per_row = LAM * hard + (1.0 - LAM) * T * T * distill
                loss = tf.reduce_mean(per_row)
            opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            seen.update_state(per_row)
        log["loss"].append(float(seen.result()))
        log["val_loss"].append(validation_loss(model))
        if log["val_loss"][-1] < best:
            best, best_weights = log["val_loss"][-1], [w.copy() for w in model.get_weights()]
    model.set_weights(best_weights)
    return model, log
