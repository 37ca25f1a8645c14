import keras
import tensorflow as tf
from tqdm import tqdm


class Trainer:
    """Small training harness, so we can log gradients etc. ourselves."""

    def __init__(self, model, cfg):
        t = cfg["training"]
        self.model = model
        self.epochs = t["epochs"]
        self.clipnorm = t["clipnorm"]
        self.optimizer = keras.optimizers.SGD(t["learning_rate"], momentum=t["momentum"])
        self.loss_fn = keras.losses.MeanSquaredError()
        self.train_loss = keras.metrics.Mean(name="train_loss")
        self.val_loss = keras.metrics.Mean(name="val_loss")
        self.val_mae = keras.metrics.MeanAbsoluteError(name="val_mae")
        self.history = []

    @tf.function
    def train_step(self, x, y):
        with tf.GradientTape() as tape:
            pred = self.model(x, training=True)
            loss = self.loss_fn(y, pred)
        grads = tape.gradient(loss, self.model.trainable_variables)
        grads, norm = tf.clip_by_global_norm(grads, self.clipnorm)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        self.train_loss.update_state(loss, sample_weight=tf.shape(x)[0])
        return norm

    @tf.function
    def test_step(self, x, y):
        pred = self.model(x, training=False)
        self.val_loss.update_state(self.loss_fn(y, pred), sample_weight=tf.shape(x)[0])
        self.val_mae.update_state(y, pred)

    def train(self, train_ds, val_ds):
        for epoch in range(self.epochs):
            for m in (self.train_loss, self.val_loss, self.val_mae):
                m.reset_state()

            bar = tqdm(train_ds, desc=f"epoch {epoch + 1}/{self.epochs}", leave=False)
            for x, y in bar:
                norm = self.train_step(x, y)
                bar.set_postfix(loss=float(self.train_loss.result()), grad=float(norm))

            for x, y in val_ds:
                self.test_step(x, y)

            row = {
                "loss": float(self.train_loss.result()),
                "val_loss": float(self.val_loss.result()),
                "val_mae": float(self.val_mae.result()),
            }
            self.history.append(row)
            print(f"epoch {epoch + 1}: " + "  ".join(f"{k}={v:.4f}" for k, v in row.items()))
        return self.history
