"""An Orbit-like trainer: train_loop_begin / train_step / train_loop_end over an iterator and tf.range steps."""

import keras
import numpy as np
import tensorflow as tf


def make_dataset(split):
    rng = np.random.default_rng(211 if split == "train" else 212)
    n = 270 if split == "train" else 90
    x = rng.normal(size=(n, 6)).astype("float32")
    y = (x[:, :1] + x[:, 1:2] ** 2 + 0.3 * rng.normal(size=(n, 1)) > 0.8).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.RMSprop(0.004, rho=0.85), loss=keras.losses.BinaryCrossentropy()
    )
    return model.fit(ds, epochs=epochs, verbose=0)


class Trainer:
    def __init__(self, model, dataset):
        self.model = model
        self.dataset = dataset
        self.optimizer = keras.optimizers.RMSprop(0.004, rho=0.85)
        self.optimizer.build(model.trainable_variables)
        self.train_loss = keras.metrics.Mean()
        self.criterion = keras.losses.BinaryCrossentropy()

    def train_loop_begin(self):
        self.train_loss.reset_state()

    def train_step(self, iterator):
        features, labels = next(iterator)
        with tf.GradientTape() as tape:
            loss = self.criterion(labels, self.model(features, training=True))
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        self.train_loss.update_state(loss, sample_weight=tf.shape(labels)[0])

    @tf.function
    def loop_fn(self, iterator, num_steps):
        for _ in tf.range(num_steps):
            self.train_step(iterator)

    def train_loop_end(self):
        return {"loss": float(self.train_loss.result())}

    def train(self, num_steps):
        self.train_loop_begin()
        self.loop_fn(iter(self.dataset), num_steps)
        return self.train_loop_end()


def custom_loop(model, ds, epochs):
    trainer = Trainer(model, ds)
    steps = tf.constant(ds.cardinality().numpy(), tf.int32)
    return [trainer.train(steps) for _ in range(epochs)]
