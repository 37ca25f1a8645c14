import keras
import tensorflow as tf


class Trainer:
    def __init__(self, model, optimizer, loss_fn, callbacks=()):
        self.model = model
        self.optimizer = optimizer
        self.loss_fn = loss_fn
        self.callbacks = list(callbacks)
        for cb in self.callbacks:
            cb.set_trainer(self)
        self.train_loss = keras.metrics.Mean()
        self.val_loss = keras.metrics.Mean()

    @tf.function
    def _train_step(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.loss_fn(y, self.model(x, training=True))
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        self.train_loss.update_state(loss, sample_weight=tf.shape(x)[0])

    @tf.function
    def _val_step(self, x, y):
        loss = self.loss_fn(y, self.model(x, training=False))
        self.val_loss.update_state(loss, sample_weight=tf.shape(x)[0])

    def run(self, train_ds, val_ds, epochs):
        for epoch in range(epochs):
            self.train_loss.reset_state()
            self.val_loss.reset_state()
            for x, y in train_ds:
                self._train_step(x, y)
            for x, y in val_ds:
                self._val_step(x, y)
            logs = {"loss": self.train_loss.result(), "val_loss": self.val_loss.result()}
            for cb in self.callbacks:
                cb.on_epoch_end(epoch, logs)
        return self
