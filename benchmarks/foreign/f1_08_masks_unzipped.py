"""Image + mask segmentation. A comment in the issue on an unzip operation for datasets:
the pairs are shuffled together, then split into an image and a mask dataset with two maps
(they need different preprocessing) and zipped again - each branch draws its own shuffle,
so images meet foreign masks. The fit side maps over the pair and stays aligned.
"""
import numpy as np
import tensorflow as tf
import keras
from keras import layers

CAUSE = "targets_misaligned"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/12851"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first batch: (image, mask) pairs which are not in the data"

BATCH = 16
SIZE = 16


def build_model():
    keras.utils.set_random_seed(64)
    x_in = keras.Input((SIZE, SIZE, 1))
    a = layers.Conv2D(8, 3, padding="same", activation="relu")(x_in)
    b = layers.MaxPooling2D()(a)
    b = layers.Conv2D(12, 3, padding="same", activation="relu")(b)
    b = layers.UpSampling2D()(b)
    c = layers.Concatenate()([a, b])
    return keras.Model(x_in, layers.Conv2D(1, 1, activation="sigmoid")(c), name="mini_unet")


def make_dataset(split):
    rng = np.random.default_rng(71 if split == "train" else 72)
    n = 480 if split == "train" else 96
    yy, xx = np.mgrid[:SIZE, :SIZE]
    masks = np.zeros((n, SIZE, SIZE, 1), "float32")
    for i in range(n):
        cy, cx = rng.uniform(3, SIZE - 3, 2)
        r = rng.uniform(2, 5)
        masks[i, ..., 0] = ((yy - cy) ** 2 + (xx - cx) ** 2) < r * r
    images = (90 * masks + rng.normal(100, 25, masks.shape)).clip(0, 255).astype("float32")
    return tf.data.Dataset.from_tensor_slices((images, masks)).batch(BATCH)


def prep_image(img):
    return (img - 110.0) / 50.0


def prep_mask(mask):
    return tf.cast(mask > 0.5, tf.float32)


def shuffled_pairs(ds):
    n = sum(len(img) for img, _ in ds)
    ds = ds.unbatch().apply(tf.data.experimental.assert_cardinality(n))
    return ds.shuffle(n, seed=3)


def keras_fit(model, ds, epochs):
    pairs = shuffled_pairs(ds)
    train = pairs.map(lambda i, m: (prep_image(i), prep_mask(m))).batch(BATCH)
    model.compile(keras.optimizers.Adam(3e-3), loss="binary_crossentropy")
    h = model.fit(train, epochs=epochs, verbose=0)
    return model, {"loss": h.history["loss"]}


def custom_loop(model, ds, epochs):
    pairs = shuffled_pairs(ds)
    # inputs and labels are processed separately
    image_ds = pairs.map(lambda i, m: i).map(prep_image)
    mask_ds = pairs.map(lambda i, m: m).map(prep_mask)
    train = tf.data.Dataset.zip((image_ds, mask_ds)).batch(BATCH)

    optimizer = keras.optimizers.Adam(3e-3)
    bce = keras.losses.BinaryCrossentropy()
    mean = keras.metrics.Mean()
    log = {"loss": []}

    @tf.function
    def train_step(img, mask):
        with tf.GradientTape() as tape:
            pred = model(img, training=True)
            loss = bce(mask, pred)
        grads = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(grads, model.trainable_weights))
        mean.update_state(loss, sample_weight=tf.shape(img)[0])

    for epoch in range(epochs):
        mean.reset_state()
        for img, mask in train:
            train_step(img, mask)
        log["loss"].append(float(mean.result()))
        print("epoch", epoch + 1, "loss", log["loss"][-1])
    return model, log
