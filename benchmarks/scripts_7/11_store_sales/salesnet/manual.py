"""Training without fit()."""
import keras
import tensorflow as tf

from .net import sales_net


class Stopper:
    """stop when the validation loss has not become better for `patience` epochs"""

    def __init__(self, patience, min_delta):
        self.patience = patience
        self.min_delta = min_delta
        self.best = float("inf")
        self.wait = 0

    def should_stop(self, value):
        if value < self.best - self.min_delta:
            self.best = value
            self.wait = 0
        else:
            self.wait += 1
        return self.wait > self.patience


class ManualTrainer:
    def __init__(self, s):
        self.s = s
        self.model = sales_net(s)
        self.optimizer = keras.optimizers.Adam(s.learning_rate)
        self.stopper = Stopper(s.patience, s.min_delta)
        self.history = []

    @tf.function
    def _train(self, x, y):
        with tf.GradientTape() as tape:
            error = tf.abs(self.model(x, training=True) - y)
            loss = tf.reduce_mean(error)
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        return tf.reduce_sum(error)

    @tf.function
    def _validate(self, x, y):
        return tf.reduce_sum(tf.abs(self.model(x, training=False) - y))

    @staticmethod
    def _mean(ds, step):
        total, n = 0.0, 0
        for x, y in ds:
            total += float(step(x, y))
            n += len(y)
        return total / n

    def run(self, train, val):
        for _ in range(self.s.max_epochs):
            row = {"loss": self._mean(train, self._train), "val_loss": self._mean(val, self._validate)}
            self.history.append(row)
            if self.stopper.should_stop(row["val_loss"]):
                break
        return self.model, self.history
