"""The same without compile/fit, so that it can go into our own runner. No class_weight and no use_ema there:
the weights are computed as n / (2 * n_class), the average is a class of ten lines."""
import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score

from fraud_common import EPOCHS, network, table


class Average:
    def __init__(self, variables, decay):
        self.variables, self.decay, self.shadow = variables, decay, None

    def update(self):
        now = [v.numpy() for v in self.variables]
        if self.shadow is None:
            self.shadow = now
        else:
            self.shadow = [s - (1 - self.decay) * (s - n) for s, n in zip(self.shadow, now)]

    def write_back(self):
        for v, s in zip(self.variables, self.shadow):
            v.assign(s)


x, y, xv, yv = table()
share = y.mean()
per_row = np.where(y == 1, 0.5 / share, 0.5 / (1 - share)).astype("float32")
print("mean weight", per_row.mean())

model = network()
opt = keras.optimizers.Lion(2e-3)
ema = Average(model.trainable_variables, 0.97)


@tf.function(input_signature=[tf.TensorSpec((None, 30)), tf.TensorSpec((None,)), tf.TensorSpec((None,))])
def step(xb, yb, wb):
    with tf.GradientTape() as tape:
        p = model(xb, training=True)[:, 0]
        p = tf.clip_by_value(p, 1e-7, 1 - 1e-7)
        nll = -tf.math.log(tf.where(yb > 0.5, p, 1 - p))
        loss = tf.reduce_mean(nll * wb)
    grads = tape.gradient(loss, model.trainable_variables)
    opt.apply_gradients(zip(grads, model.trainable_variables))
    return loss


losses = []
for _ in range(EPOCHS):
    order = np.random.permutation(len(x))
    total = 0.0
    for rows in np.array_split(order, range(32, len(x), 32)):
        total += len(rows) * float(step(x[rows], y[rows].astype("float32"), per_row[rows]))
        ema.update()
    losses.append(total / len(x))
ema.write_back()
ap = average_precision_score(yv, np.asarray(model(xv, training=False))[:, 0])
print("loss", np.round(losses, 4), "average precision %.4f" % ap)
