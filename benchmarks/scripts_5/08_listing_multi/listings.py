"""Second-hand listings: category (softmax), "will be sold" (rare) and log price from text-ish and numeric features.

    python listings.py
"""
import keras
import numpy as np
import tensorflow as tf
from keras import layers, losses, optimizers

N_CAT = 5
WEIGHTS = {"category": 1.0, "sold": 4.0, "price": 0.5}
SMOOTHING = 0.1
GAMMA, ALPHA = 2.0, 0.25
DELTA = 0.8


def load(n=1500, seed=21):
    r = np.random.default_rng(seed)
    words = r.poisson(0.4, (n, 40)).astype("float32")
    nums = r.normal(size=(n, 6)).astype("float32")
    cat = (words[:, :25].reshape(n, 5, 5).sum(2) + 0.4 * r.normal(size=(n, 5))).argmax(1)
    price = 0.4 * cat + nums[:, 0] - 0.5 * nums[:, 1] * (cat == 2) + 0.5 * r.standard_t(3, n)
    sold = (nums[:, 2] - 0.7 * price + r.normal(size=n) > 1.8)
    x = {"words": words, "nums": nums}
    y = {"category": np.eye(N_CAT, dtype="float32")[cat],
         "sold": sold[:, None].astype("float32"),
         "price": price[:, None].astype("float32")}
    return x, y


def trunk():
    words = keras.Input((40,), name="words")
    nums = keras.Input((6,), name="nums")
    w = layers.Dense(24, activation="relu", kernel_regularizer="l2", name="w")(words)
    n = layers.LayerNormalization(name="ln")(nums)
    h = layers.Dense(32, activation="relu", name="h")(layers.concatenate([w, n]))
    return [words, nums], h


def build_for_fit():
    inputs, h = trunk()
    return keras.Model(inputs, {
        "category": layers.Dense(N_CAT, activation="softmax", name="category")(h),
        "sold": layers.Dense(1, activation="sigmoid", name="sold")(h),
        "price": layers.Dense(1, name="price")(h),
    })


def build_for_loop():
    # heads without activations, the losses below work on logits
    inputs, h = trunk()
    c = layers.Dense(N_CAT, name="category")(h)
    s = layers.Dense(1, name="sold")(h)
    p = layers.Dense(1, name="price")(h)
    return keras.Model(inputs, [c, s, p])


def train_with_fit(model, x, y, epochs=8, batch=50):
    model.compile(
        optimizer=optimizers.Adam(1.5e-3),
        loss={"category": losses.CategoricalCrossentropy(label_smoothing=SMOOTHING),
              "sold": losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=ALPHA, gamma=GAMMA),
              "price": losses.Huber(delta=DELTA)},
        loss_weights=WEIGHTS,
        metrics={"category": "accuracy", "price": "mae"},
    )
    return model.fit(x, y, batch_size=batch, epochs=epochs, verbose=2)


def focal(y, z):
    p = tf.sigmoid(z)
    ce = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z)
    pt = y * p + (1 - y) * (1 - p)
    return (y * ALPHA + (1 - y) * (1 - ALPHA)) * tf.pow(1 - pt, GAMMA) * ce


def huber(y, yhat):
    a = tf.abs(y - yhat)
    return tf.where(a <= DELTA, a * a / 2, DELTA * a - DELTA * DELTA / 2)


def train_with_loop(model, x, y, epochs=8, batch=50):
    opt = optimizers.Adam(1.5e-3)
    # by name: the model's weights are in the order in which the layers were made
    kernels = [layer.kernel for layer in model.layers if getattr(layer, "kernel_regularizer", None)]

    @tf.function
    def step(xb, yb):
        with tf.GradientTape() as tape:
            c, s, p = model(xb, training=True)
            smooth = yb["category"] * (1 - SMOOTHING) + SMOOTHING / N_CAT
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, c))
            loss += 4.0 * tf.reduce_mean(focal(yb["sold"], s))
            loss += tf.reduce_mean(huber(yb["price"], p)) / 2
            loss += tf.add_n([0.01 * tf.reduce_sum(k * k) for k in kernels])
        opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    ds = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(y["sold"])).batch(batch)
    for e in range(epochs):
        mean = keras.metrics.Mean()
        for xb, yb in ds:
            mean(step(xb, yb))
        print(f"loop epoch {e + 1}: {mean.result():.4f}")


def main():
    x, y = load()
    a = build_for_fit()
    b = build_for_loop()
    for layer in b.layers:
        if layer.weights:
            layer.set_weights(a.get_layer(layer.name).get_weights())
    train_with_fit(a, x, y)
    train_with_loop(b, x, y)

    pa = a.predict(x, verbose=0)
    c, s, p = b.predict(x, verbose=0)
    truth = y["category"].argmax(1)
    print("category acc  fit", (pa["category"].argmax(1) == truth).mean(), "loop", (c.argmax(1) == truth).mean())
    print("price mae     fit", np.abs(pa["price"] - y["price"]).mean(), "loop", np.abs(p - y["price"]).mean())
    return a, b


if __name__ == "__main__":
    main()
