# Playground competition: noisy spectra, 4 classes
# 1) denoising autoencoder on everything (train + unlabeled)
# 2) classifier on top of the encoder
# I run it twice: keras API, and GradientTape (for the part-2 kernel where the
# loss will be replaced)
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
import keras
from keras.layers import Input, Dense

class CFG:
    seed = 7
    n_bands = 30
    bs = 64
    pre_epochs = 4
    ft_epochs = 7
    pre_lr = 2e-3
    ft_lr = 1e-3


def spectra(n, rng):
    c = rng.integers(0, 4, n)
    grid = np.linspace(0, 1, CFG.n_bands)
    peak = np.array([0.25, 0.4, 0.6, 0.75])[c] + 0.04 * rng.standard_normal(n)
    s = np.exp(-((grid[None] - peak[:, None]) ** 2) / 0.01)
    s += 0.8 * np.exp(-((grid[None] - rng.random((n, 1))) ** 2) / 0.004)
    return s.astype("float32"), c


rng = np.random.default_rng(CFG.seed)
clean_u, _ = spectra(400, rng)
noisy_u = (clean_u + 0.3 * rng.standard_normal(clean_u.shape)).astype("float32")
clean, label = spectra(320, rng)
train_x = (clean + 0.2 * rng.standard_normal(clean.shape)).astype("float32")
train_y = keras.utils.to_categorical(label, 4).astype("float32")
clean_t, label_t = spectra(300, rng)
test_x = (clean_t + 0.2 * rng.standard_normal(clean_t.shape)).astype("float32")


def make_nets():
    """returns (autoencoder, classifier), both share the encoder layers"""
    keras.utils.set_random_seed(CFG.seed)
    x = Input((CFG.n_bands,))
    h = Dense(48, activation="relu", name="enc1")(x)
    code = Dense(12, activation="relu", name="enc2")(h)
    r = Dense(48, activation="relu", name="dec1")(code)
    rec = Dense(CFG.n_bands, name="dec2")(r)
    c = Dense(24, activation="relu", name="cls1")(code)
    c = Dense(4, activation="softmax", name="cls2")(c)
    return keras.Model(x, rec), keras.Model(x, c)


###############################################################################
# keras API
ae, clf = make_nets()
ae.compile(optimizer=keras.optimizers.Adam(CFG.pre_lr), loss="mse")
ae.fit(noisy_u, clean_u, batch_size=CFG.bs, epochs=CFG.pre_epochs, verbose=0)

clf.compile(optimizer=keras.optimizers.Adam(CFG.ft_lr),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            metrics=["accuracy"])
hist = clf.fit(train_x, train_y, batch_size=CFG.bs, epochs=CFG.ft_epochs,
               initial_epoch=CFG.pre_epochs, verbose=2)
acc_keras = clf.evaluate(test_x, keras.utils.to_categorical(label_t, 4), verbose=0)[1]

###############################################################################
# GradientTape
ae2, clf2 = make_nets()
order = np.random.default_rng(CFG.seed)


def train(net, x, y, loss_fn, lr, epochs, tag):
    opt = keras.optimizers.Adam(lr)

    @tf.function
    def step(xb, yb):
        with tf.GradientTape() as tape:
            loss = loss_fn(yb, net(xb, training=True))
        g = tape.gradient(loss, net.trainable_variables)
        opt.apply_gradients(zip(g, net.trainable_variables))
        return loss

    for ep in range(epochs):
        p = order.permutation(len(x))
        total = 0.0
        for i in range(0, len(x), CFG.bs):
            b = p[i:i + CFG.bs]
            total += float(step(x[b], y[b])) * len(b)
        print(f"{tag} {ep + 1}/{epochs} loss {total / len(x):.4f}")


def smooth_ce(y, p):
    y = y * 0.9 + 0.025
    return -tf.reduce_mean(tf.reduce_sum(y * tf.math.log(tf.clip_by_value(p, 1e-7, 1.0)), axis=1))


train(ae2, noisy_u, clean_u, lambda y, r: tf.reduce_mean((y - r) ** 2),
      CFG.pre_lr, CFG.pre_epochs, "pre")
train(clf2, train_x, train_y, smooth_ce, CFG.ft_lr, CFG.ft_epochs, "ft ")

acc_tape = (clf2.predict(test_x, verbose=0).argmax(1) == label_t).mean()
print(f"test accuracy  keras {acc_keras:.4f}   tape {acc_tape:.4f}")
