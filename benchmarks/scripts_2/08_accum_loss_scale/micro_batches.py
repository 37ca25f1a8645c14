"""My laptop GPU only holds 24 rows of the real data, the paper uses batches of 96.
So: micro-batches, gradients added up, one update per 96 rows. Is that *really* the paper's training?
Reference = fit with batch_size=96.  A constant loss scale is left in from the float16 days.
"""
import sys

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

BIG, MICRO, EPOCHS, SCALE = 96, 24, int(sys.argv[1]) if len(sys.argv) > 1 else 6, 4096.0

X, y = make_classification(1210, 30, n_informative=12, n_classes=4, random_state=5)
X = X.astype("float32")
X_tr, X_va, y_tr, y_va = train_test_split(X, y, train_size=1000, random_state=1, stratify=y)


class ScaledResidual(keras.layers.Layer):
    """x + g * f(x), with a gain that starts at zero and is kept in [-1, 1]"""

    def __init__(self, units, **kw):
        super().__init__(**kw)
        self.f = keras.layers.Dense(units, activation="swish", kernel_regularizer=keras.regularizers.L2(5e-4))

    def build(self, shape):
        self.f.build(shape)
        self.gain = self.add_weight(name="gain", shape=(), initializer="zeros",
                                    constraint=lambda w: keras.ops.clip(w, -0.02, 0.02))

    def call(self, x):
        return x + self.gain * self.f(x)


def make():
    i = keras.Input((30,))
    h = keras.layers.Dense(24, activation="swish")(i)
    h = ScaledResidual(24)(h)
    h = ScaledResidual(24)(h)
    return keras.Model(i, keras.layers.Dense(4)(h))


def adam():
    return keras.optimizers.AdamW(5e-3, weight_decay=0.01)


sce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
big = make()
big.compile(adam(), sce, metrics=["accuracy"])
log = big.fit(X_tr, y_tr, batch_size=BIG, epochs=EPOCHS, validation_data=(X_va, y_va), verbose=0).history

# -------------------------------------------------------------------------------------------------
small = make()
opt = adam()
variables = small.trainable_variables
opt.build(variables)
bucket = [tf.Variable(tf.zeros_like(v)) for v in variables]


@tf.function(reduce_retracing=True)
def collect(xb, yb):
    """adds the gradient of the *sum* over the rows, times SCALE"""
    with tf.GradientTape() as tape:
        logits = small(xb, training=True)
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=yb, logits=logits)
        loss = SCALE * tf.reduce_sum(ce)
    for b, g in zip(bucket, tape.gradient(loss, variables)):
        b.assign_add(g)
    return tf.reduce_sum(ce)


@tf.function(reduce_retracing=True)
def flush(rows):
    # the penalty is no matter of rows: its gradient comes in once per update
    with tf.GradientTape() as tape:
        penalty = tf.add_n(small.losses)
    pen = tape.gradient(penalty, variables)
    grads = [b / (SCALE * rows) if p is None else b / (SCALE * rows) + p for b, p in zip(bucket, pen)]
    opt.apply(grads, variables)
    for b in bucket:
        b.assign(tf.zeros_like(b))
    return penalty


mine = {"loss": [], "val_loss": []}
for epoch in range(EPOCHS):
    order = np.random.permutation(len(X_tr))
    waiting, ce_epoch, pen_epoch = 0, 0.0, 0.0
    for start in range(0, len(order), MICRO):
        rows = order[start:start + MICRO]
        ce_epoch += float(collect(tf.constant(X_tr[rows]), tf.constant(y_tr[rows])))
        waiting += len(rows)
        if waiting >= BIG or start + MICRO >= len(order):
            pen_epoch += waiting * float(flush(tf.constant(waiting, tf.float32)))
            waiting = 0
    mine["loss"].append((ce_epoch + pen_epoch) / len(order))
    mine["val_loss"].append(float(sce(y_va, small(X_va, training=False)) + tf.add_n(small.losses)))

for e in range(EPOCHS):
    print(e + 1, *(f"{k} {log[k][e]:.5f} {mine[k][e]:.5f}" for k in mine))
