# Domain adaptation, poor man's version:
#   1. train encoder + head on plant A (lots of data)
#   2. plant B: leave the encoder alone, train only the head again
# Once in Keras and once as a loop because I need per-batch hooks later.

import numpy as np
import keras
import tensorflow as tf

EPOCHS_A, EPOCHS_B = 5, 6
BS = 50


def plant(n, shift, scale, seed):
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 4, n)
    proto = np.random.default_rng(0).normal(0, 1, (4, 20))
    x = proto[state] + rng.normal(0, 1.1, (n, 20))
    return (x * scale + shift).astype("float32"), state.astype("int64")


xa, ya = plant(1000, 0.0, 1.0, 1)
xb, yb = plant(300, 0.8, 1.6, 2)      # other sensors, other offsets
xb_test, yb_test = plant(600, 0.8, 1.6, 3)


def create():
    keras.utils.set_random_seed(17)
    encoder = keras.Sequential(name="encoder")
    encoder.add(keras.Input((20,)))
    for units in (32, 16):
        encoder.add(keras.layers.Dense(units, use_bias=False))
        encoder.add(keras.layers.BatchNormalization(momentum=0.9))
        encoder.add(keras.layers.Activation("relu"))
    head = keras.Sequential([keras.Input((16,)), keras.layers.Dense(4)], name="head")
    inputs = keras.Input((20,))
    return keras.Model(inputs, head(encoder(inputs)))


loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# --- how good is it without plant A? (only for the table)
scratch = create()
scratch.compile(keras.optimizers.Adam(1e-3), loss=loss_fn, metrics=["accuracy"])
scratch.fit(xb, yb, batch_size=BS, epochs=3, verbose=0)
print("scratch     ", scratch.evaluate(xb_test, yb_test, verbose=0, return_dict=True))

# --- Keras ------------------------------------------------------------------
keras_model = create()
keras_model.compile(keras.optimizers.Adam(2e-3), loss=loss_fn, metrics=["accuracy"])
keras_model.fit(xa, ya, batch_size=BS, epochs=EPOCHS_A, shuffle=False, verbose=0)
print("A, keras    ", keras_model.evaluate(xa, ya, verbose=0, return_dict=True))

keras_model.get_layer("encoder").trainable = False
keras_model.compile(keras.optimizers.Adam(5e-3), loss=loss_fn, metrics=["accuracy"])
hist_b = keras_model.fit(xb, yb, batch_size=BS, epochs=EPOCHS_B, shuffle=False, verbose=0)

# --- loop -------------------------------------------------------------------
loop_model = create()


def train(x, y, variables, optimizer, epochs):
    ds = tf.data.Dataset.from_tensor_slices((x, y)).batch(BS)
    avg = keras.metrics.Mean()

    @tf.function
    def step(bx, by):
        with tf.GradientTape() as tape:
            loss = loss_fn(by, loop_model(bx, training=True))
        grads = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(grads, variables))
        avg.update_state(loss, tf.shape(bx)[0])

    curve = []
    for _ in range(epochs):
        avg.reset_state()
        for bx, by in ds:
            step(bx, by)
        curve.append(float(avg.result()))
    return curve


train(xa, ya, loop_model.trainable_variables, keras.optimizers.Adam(2e-3), EPOCHS_A)
acc = np.mean(loop_model.predict(xa, verbose=0).argmax(1) == ya)
print("A, loop      accuracy", acc)

# phase 2: the optimizer only gets the head, so the encoder stays as it is
head_vars = loop_model.get_layer("head").trainable_variables
curve_b = train(xb, yb, head_vars, keras.optimizers.Adam(5e-3), EPOCHS_B)

print("\nplant B      fit     loop")
for e in range(EPOCHS_B):
    print(f"epoch {e + 1}   {hist_b.history['loss'][e]:.4f}   {curve_b[e]:.4f}")
for name, m in ("keras", keras_model), ("loop", loop_model):
    print("B test,", name, np.mean(m.predict(xb_test, verbose=0).argmax(1) == yb_test))
