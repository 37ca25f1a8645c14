"""Report: in a GauGAN port the encoder's variables never get updated, because the
gradients are taken over the variables of a combined model the encoder is no part of.
Here the same in an autoencoder built from two sub-models: the loop differentiates only
with respect to the image-producing half, so the encoder keeps its initial weights, while
fit trains both halves.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "trainable_flags"
SOURCE = "https://github.com/soumik12345/tf2_gans/issues/14"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first update: the encoder's kernels and biases do not move"

SIDE = 12
LATENT = 6


def _faces(n, seed):
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1.0)
    imgs = np.zeros((n, SIDE, SIDE, 1), "float32")
    for i in range(n):
        cx, cy = rng.uniform(0.3, 0.7, 2)
        w = rng.uniform(0.02, 0.08)
        imgs[i, ..., 0] = np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / w)
        imgs[i, ..., 0] += 0.05 * rng.normal(size=(SIDE, SIDE))
    return np.clip(imgs, 0.0, 1.0)


def make_dataset(split):
    x = _faces(600 if split == "train" else 150, 3 if split == "train" else 4)
    return tf.data.Dataset.from_tensor_slices((x, x)).batch(24)


def build_model():
    keras.utils.set_random_seed(21)
    enc_in = keras.Input((SIDE, SIDE, 1))
    h = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(enc_in)
    h = keras.layers.Flatten()(h)
    enc = keras.Model(enc_in, keras.layers.Dense(LATENT)(h), name="encoder")

    dec_in = keras.Input((LATENT,))
    h = keras.layers.Dense(6 * 6 * 8, activation="relu")(dec_in)
    h = keras.layers.Reshape((6, 6, 8))(h)
    h = keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(h)
    img = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(h)
    dec = keras.Model(dec_in, img, name="decoder")

    inp = keras.Input((SIDE, SIDE, 1))
    return keras.Model(inp, dec(enc(inp)), name="autoencoder")


def keras_fit(model, ds, epochs):
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="mse")
    hist = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": hist.history["loss"]}


def custom_loop(model, ds, epochs):
    encoder = model.get_layer("encoder")
    decoder = model.get_layer("decoder")
    opt = keras.optimizers.Adam(2e-3)
    mse = keras.losses.MeanSquaredError()
    mean = keras.metrics.Mean()

    @tf.function
    def train_generator(images):
        with tf.GradientTape() as tape:
            latent = encoder(images, training=True)
            fake = decoder(latent, training=True)
            loss = mse(images, fake)
        variables = decoder.trainable_variables
        grads = tape.gradient(loss, variables)
        opt.apply_gradients(zip(grads, variables))
        mean.update_state(loss, sample_weight=tf.shape(images)[0])

    log = {"loss": []}
    for _ in range(epochs):
        mean.reset_state()
        for images, _same in ds:
            train_generator(images)
        log["loss"].append(float(mean.result()))
    return model, log
