"""Loop after the "custom training with tf.distribute" guide; runs on one device as well as on several."""
import keras
import tensorflow as tf


class DistributedTrainer:
    def __init__(self, settings, build, optimizer, strategy=None):
        self.s = settings
        self.strategy = strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            self.model = build(settings)
            self.optimizer = optimizer(settings)
            self.pointwise = keras.losses.MeanSquaredError(reduction="none")

    def objective(self, y, p):
        data_loss = tf.nn.compute_average_loss(self.pointwise(y, p), global_batch_size=self.s.batch_size)
        return data_loss + tf.nn.scale_regularization_loss(tf.add_n(self.model.losses))

    @tf.function
    def step(self, x, y):
        with tf.GradientTape() as tape:
            p = self.model(x, training=True)
            loss = self.objective(y, p)
            penalty = tf.add_n(self.model.losses)
        g = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(g, self.model.trainable_variables))
        # for the log: per-row mean, plus the penalty
        return tf.reduce_sum(self.pointwise(y, p)), penalty, tf.shape(x)[0]

    def evaluate(self, ds):
        sq = rows = 0.0
        for x, y in ds:
            sq += float(tf.reduce_sum(self.pointwise(y, self.model(x, training=False))))
            rows += len(x)
        return sq / rows

    def train(self, train, val):
        history = {"loss": [], "val_mse": []}
        for _ in range(self.s.epochs):
            total = rows = 0.0
            for x, y in train:
                sq, pen, n = self.step(x, y)
                total += float(sq) + float(pen) * int(n)
                rows += int(n)
            history["loss"].append(total / rows)
            history["val_mse"].append(self.evaluate(val))
        return history
