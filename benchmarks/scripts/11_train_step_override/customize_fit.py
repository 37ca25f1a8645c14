import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

# Is train_step() below really the same as what fit() does by default?
# My version starts with a much smaller loss and ends with a smaller one too.

print("keras", keras.__version__, "tf", tf.__version__)

rng = np.random.default_rng()
N = 2048
x = rng.uniform(-2, 2, size=(N, 6)).astype("float32")
y = (np.sin(2 * x[:, :1]) * x[:, 1:2] + 0.5 * x[:, 2:3] ** 2 - x[:, 3:4] * x[:, 4:5]
     + 0.1 * rng.normal(size=(N, 1))).astype("float32")


class CustomModel(keras.Model):
    def train_step(self, data):
        # Unpack the data. Its structure depends on your model and
        # on what you pass to `fit()`.
        x, y = data

        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)  # Forward pass
            # Compute the loss value
            # (the loss function is configured in `compile()`)
            loss = self.compute_loss(y=y, y_pred=y_pred)

        # Compute gradients
        trainable_vars = self.trainable_variables
        gradients = tape.gradient(loss, trainable_vars)

        # Update weights
        self.optimizer.apply(gradients, trainable_vars)

        # Update metrics (includes the metric that tracks the loss)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)

        # Return a dict mapping metric names to current value
        return {m.name: m.result() for m in self.metrics}


inputs = keras.Input(shape=(6,))
h = layers.Dense(64, activation="gelu")(inputs)
h = layers.LayerNormalization()(h)
h = layers.Dense(64, activation="gelu")(h)
outputs = layers.Dense(1)(h)

# default
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="mse", metrics=["mae"])
model.summary()
h1 = model.fit(x, y, epochs=4, batch_size=32)

# custom train_step
custom = CustomModel(inputs, outputs)
custom.compile(optimizer=keras.optimizers.Adam(2e-3), loss="mse", metrics=["mae"])
h2 = custom.fit(x, y, epochs=4, batch_size=32)

print("epoch   default    custom")
for i, (a, b) in enumerate(zip(h1.history["loss"], h2.history["loss"])):
    print("%5d  %8.4f  %8.4f" % (i + 1, a, b))
