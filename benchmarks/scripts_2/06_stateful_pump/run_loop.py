import keras
import tensorflow as tf

from pump_data import N_PUMPS, split
from pump_model import build

(x, y), (xv, yv) = split()
train = tf.data.Dataset.from_tensor_slices((x, y)).batch(N_PUMPS)      # in order: stateful!
valid = tf.data.Dataset.from_tensor_slices((xv, yv)).batch(N_PUMPS)
model = build()
memory = model.get_layer("memory")
opt = keras.optimizers.Adam(5e-3)
train_loss, val_loss = keras.metrics.Mean(), keras.metrics.Mean()
mse = keras.losses.MeanSquaredError()


@tf.function
def train_step(a, b):
    with tf.GradientTape() as tape:
        loss = mse(b, model(a, training=True))
    opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    train_loss.update_state(loss)


@tf.function
def val_step(a, b):
    val_loss.update_state(mse(b, model(a, training=False)))


history = {"loss": [], "val_loss": []}
for epoch in range(8):
    memory.reset_states()
    train_loss.reset_state()
    val_loss.reset_state()
    for a, b in train:
        train_step(a, b)
    for a, b in valid:
        val_step(a, b)
    history["loss"].append(float(train_loss.result()))
    history["val_loss"].append(float(val_loss.result()))
    print(f"epoch {epoch + 1}: loss {history['loss'][-1]:.4f}, val_loss {history['val_loss'][-1]:.4f}")
