import logging
import time

import tensorflow as tf

log = logging.getLogger("trainer")


class Trainer(object):
    """Small trainer, reusable for the other models of the project."""

    def __init__(self, model, learning_rate=1e-3, batch_size=128, log_every=20):
        self.model = model
        self.batch_size = batch_size
        self.log_every = log_every
        self.loss_object = tf.keras.losses.MeanSquaredError()
        self.optimizer = tf.keras.optimizers.Adam(learning_rate, beta_1=0.9, beta_2=0.98,
                                                  epsilon=1e-9)
        self.train_loss = tf.keras.metrics.Mean(name="train_loss")
        self.train_rmse = tf.keras.metrics.RootMeanSquaredError(name="train_rmse")
        self.test_rmse = tf.keras.metrics.RootMeanSquaredError(name="test_rmse")
        self.history = []

    def make_dataset(self, users, items, ratings, training):
        ds = tf.data.Dataset.from_tensor_slices(((users, items), ratings[:, None]))
        if training:
            ds = ds.shuffle(len(ratings))
        return ds.batch(self.batch_size, drop_remainder=training).prefetch(tf.data.AUTOTUNE)

    @tf.function
    def train_step(self, inputs, targets):
        with tf.GradientTape() as tape:
            predictions = self.model(inputs, training=True)
            loss = self.loss_object(targets, predictions)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables))
        self.train_loss(loss)
        self.train_rmse(targets, predictions)

    @tf.function
    def test_step(self, inputs, targets):
        predictions = self.model(inputs, training=False)
        self.test_rmse(targets, predictions)

    def train(self, train_data, test_data, epochs):
        train_ds = self.make_dataset(*train_data, training=True)
        test_ds = self.make_dataset(*test_data, training=False)
        for epoch in range(epochs):
            start = time.time()
            self.train_loss.reset_state()
            self.train_rmse.reset_state()
            self.test_rmse.reset_state()
            for step, (inputs, targets) in enumerate(train_ds):
                self.train_step(inputs, targets)
                if (step + 1) % self.log_every == 0:
                    log.info("epoch %d step %d loss %.4f", epoch + 1, step + 1,
                             float(self.train_loss.result()))
            for inputs, targets in test_ds:
                self.test_step(inputs, targets)
            self.history.append((float(self.train_rmse.result()), float(self.test_rmse.result())))
            log.info("epoch %d done in %.1f s: rmse %.4f  test rmse %.4f",
                     epoch + 1, time.time() - start, *self.history[-1])
        return self.history
