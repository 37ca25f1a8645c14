"""Soil samples: predict pH, humus and clay from a spectrum and the site. Not every lab value was measured.

fit:  NaN targets replaced by 0 and given sample weight 0
loop: rows without the value are cut out with boolean_mask
"""
import logging

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

HEADS = {"ph": 1.0, "humus": 0.5, "clay": 0.25}        # loss weights
MISSING = {"ph": 0.05, "humus": 0.3, "clay": 0.6}
BATCH, EPOCHS = 32, 8
log = logging.getLogger("soil")


def read(n=470, seed=33):
    r = np.random.default_rng(seed)
    site = pd.DataFrame({"altitude": r.uniform(50, 900, n), "rain": r.normal(780, 150, n), "slope": r.gamma(2, 3, n)})
    humus = r.gamma(3, 1, n)
    clay = r.beta(2, 4, n) * 60
    ph = 6.5 - 0.003 * (site.rain - 780) + r.normal(0, 0.4, n) + 0.01 * clay
    wave = np.linspace(0, 1, 40)
    spectrum = (np.exp(-humus[:, None] * 0.1) * (0.4 + 0.3 * wave)
                - 0.004 * clay[:, None] * np.exp(-(wave - 0.7) ** 2 / 0.01) + r.normal(0, 0.01, (n, 40)))
    lab = pd.DataFrame({"ph": ph, "humus": humus, "clay": clay})
    for name, share in MISSING.items():
        lab.loc[r.random(n) < share, name] = np.nan
    site = (site - site.mean()) / site.std()
    spectrum = (spectrum - spectrum.mean(0)) / spectrum.std(0)
    lab = (lab - lab.mean()) / lab.std()            # pandas leaves out the NaN
    return spectrum.astype("float32"), site.to_numpy("float32"), lab.astype("float32")


def network():
    keras.utils.set_random_seed(90)
    spec = keras.Input((40,), name="spectrum")
    site = keras.Input((3,), name="site")
    a = keras.layers.Reshape((40, 1))(spec)
    a = keras.layers.Conv1D(6, 9, strides=3, activation="relu")(a)
    a = keras.layers.Flatten()(a)
    h = keras.layers.Concatenate()([a, keras.layers.Dense(8, activation="relu")(site)])
    h = keras.layers.Dense(24, activation="relu")(h)
    outs = {name: keras.layers.Dense(1, name=name)(h) for name in HEADS}
    return keras.Model({"spectrum": spec, "site": site}, outs)


def fit_side(spectrum, site, lab):
    model = network()
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss={k: "mse" for k in HEADS}, loss_weights=HEADS)
    y = {k: lab[[k]].fillna(0.0).to_numpy() for k in HEADS}
    w = {k: lab[k].notna().to_numpy("float32") for k in HEADS}
    hist = model.fit({"spectrum": spectrum, "site": site}, y, sample_weight=w,
                     batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return model, hist.history["loss"]


class MaskedTrainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = keras.optimizers.Adam(2e-3)

    @tf.function(input_signature=[
        tf.TensorSpec((None, 3)), tf.TensorSpec((None, 40)), tf.TensorSpec((None, 3)),
    ])
    def step(self, site, spectrum, lab):
        rows = tf.cast(tf.shape(lab)[0], tf.float32)
        with tf.GradientTape() as tape:
            out = self.model({"site": site, "spectrum": spectrum}, training=True)
            loss = 0.0
            for column, (name, weight) in enumerate(HEADS.items()):
                known = ~tf.math.is_nan(lab[:, column])
                target = tf.boolean_mask(lab[:, column], known)
                pred = tf.boolean_mask(out[name][:, 0], known)
                # divide by ALL rows of the batch, heads with few values must not become loud
                loss += weight * tf.reduce_sum((target - pred) ** 2) / rows
        grads = tape.gradient(loss, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.model.trainable_variables))
        return loss * rows

    def run(self, spectrum, site, lab):
        values = lab.to_numpy()
        curve = []
        for _ in range(EPOCHS):
            total = 0.0
            for start in range(0, len(values), BATCH):
                s = slice(start, start + BATCH)
                total += float(self.step(site[s], spectrum[s], values[s]))
            curve.append(total / len(values))
        return curve


def main():
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spectrum, site, lab = read()
    log.info("%s", lab.notna().mean().round(2).to_dict())
    model_a, a = fit_side(spectrum, site, lab)
    trainer = MaskedTrainer(network())
    b = trainer.run(spectrum, site, lab)
    for e in range(EPOCHS):
        log.info("epoch %d   fit %.6f   loop %.6f", e + 1, a[e], b[e])
    pa = model_a.predict({"spectrum": spectrum[:3], "site": site[:3]}, verbose=0)
    pb = trainer.model.predict({"spectrum": spectrum[:3], "site": site[:3]}, verbose=0)
    for k in HEADS:
        log.info("%-6s %s %s", k, pa[k].ravel(), pb[k].ravel())


if __name__ == "__main__":
    main()
