"""Averaged weights. The thread is about the optimizer's EMA and when the averages are written
into the model. fit does that at its end (use_ema); the loop keeps shadow copies by hand,
seeded with the weights after the first update as Keras does, and copies them back at the
end. Label smoothing is a compile-side option there and two lines of arithmetic here.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "none"
SOURCE = "https://github.com/keras-team/keras/issues/18949"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

K = 4
DECAY = 0.95
EPS = 0.1


def build_model():
    keras.utils.set_random_seed(2)
    i = keras.layers.Input((9, 9, 2))
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=3)(i)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.Activation("swish")(x)
    x = keras.layers.Conv2D(10, 3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs=i, outputs=keras.layers.Dense(K)(x))


def make_dataset(split):
    rng = np.random.default_rng(400 if split == "train" else 500)
    n = 520 if split == "train" else 104
    y = rng.integers(0, K, n)
    x = rng.normal(size=(n, 9, 9, 2)).astype("float32")
    for k in range(K):
        x[y == k, 2 * k:2 * k + 2, :, k % 2] += 1.2
    return tf.data.Dataset.from_tensor_slices((x, np.eye(K, dtype="float32")[y])).batch(26)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True,
                                       use_ema=True, ema_momentum=DECAY),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=EPS))
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": h.history["loss"]}


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    shadow = None
    log = {"loss": []}

    @tf.function
    def step(x, onehot):
        smooth = onehot * (1.0 - EPS) + EPS / K
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits))
        sgd.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    for epoch in range(epochs):
        acc = []
        for x, onehot in ds:
            acc.append(float(step(x, onehot)) * len(x))
            now = [v.numpy() for v in model.trainable_variables]
            if shadow is None:
                shadow = now
            else:
                shadow = [DECAY * s + (1 - DECAY) * w for s, w in zip(shadow, now)]
            seen = len(x) if len(acc) == 1 else seen + len(x)
        log["loss"].append(sum(acc) / seen)
        print("epoch", epoch, "loss", log["loss"][-1])

    # only trainable weights are averaged; the batch norm statistics stay as they are
    for v, s in zip(model.trainable_variables, shadow):
        v.assign(s)
    return model, log
