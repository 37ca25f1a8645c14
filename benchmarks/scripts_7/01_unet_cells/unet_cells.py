"""
U-Net on toy "microscopy" pictures (bright round cells on a noisy background).

First with compile/fit, then the same network again with my own loop because I
want to be able to put other things in there later (deep supervision etc).
View the curves with   tensorboard --logdir <the folder printed at the start>
"""
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import keras
from keras import layers

SIZE = 32
BATCH = 16
EPOCHS = 4
LR = 2e-3
LOGDIR = tempfile.mkdtemp(prefix="unet_cells_")
print("logs in", LOGDIR)


# ------------------------------------------------------------------ data
def draw(n, seed):
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    imgs = rng.normal(0.25, 0.12, (n, SIZE, SIZE)).astype("float32")
    masks = np.zeros((n, SIZE, SIZE), "float32")
    for k in range(n):
        for _ in range(rng.integers(1, 5)):
            cy, cx = rng.uniform(4, SIZE - 4, 2)
            r = rng.uniform(2.5, 6.0)
            inside = (yy - cy) ** 2 + (xx - cx) ** 2 <= r * r
            imgs[k][inside] += rng.uniform(0.15, 0.5)
            masks[k][inside] = 1.0
    return np.clip(imgs, 0, 1)[..., None], masks[..., None]


x_train, m_train = draw(110, seed=1)
x_val, m_val = draw(40, seed=2)

# mirrored copies, cheap augmentation (train only)
x_train = np.concatenate([x_train, x_train[:, :, ::-1]])
m_train = np.concatenate([m_train, m_train[:, :, ::-1]])


def train_ds():
    ds = tf.data.Dataset.from_tensor_slices((x_train, m_train))
    return ds.shuffle(len(x_train), seed=11).batch(BATCH).prefetch(2)


val_ds = tf.data.Dataset.from_tensor_slices((x_val, m_val)).batch(BATCH)


# ------------------------------------------------------------------ network
def conv_block(x, f):
    for _ in range(2):
        x = layers.Conv2D(f, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    return x


def unet():
    keras.utils.set_random_seed(1234)
    inp = keras.Input((SIZE, SIZE, 1))
    d1 = conv_block(inp, 8)
    d2 = conv_block(layers.MaxPooling2D()(d1), 16)
    mid = conv_block(layers.MaxPooling2D()(d2), 32)
    u2 = layers.Conv2DTranspose(16, 2, strides=2)(mid)
    u2 = conv_block(layers.Concatenate()([u2, d2]), 16)
    u1 = layers.Conv2DTranspose(8, 2, strides=2)(u2)
    u1 = conv_block(layers.Concatenate()([u1, d1]), 8)
    out = layers.Conv2D(1, 1, activation="sigmoid")(u1)
    return keras.Model(inp, out)


# ------------------------------------------------------------------ 1. fit
def bce_dice(y_true, y_pred):
    # one value per picture
    bce = keras.ops.mean(keras.losses.binary_crossentropy(y_true, y_pred), axis=(1, 2))
    inter = keras.ops.sum(y_true * y_pred, axis=(1, 2, 3))
    total = keras.ops.sum(y_true, axis=(1, 2, 3)) + keras.ops.sum(y_pred, axis=(1, 2, 3))
    return bce + 1.0 - (2.0 * inter + 1.0) / (total + 1.0)


model = unet()
model.compile(
    optimizer=keras.optimizers.Adam(LR),
    loss=bce_dice,
    metrics=[keras.metrics.BinaryIoU(target_class_ids=[1], threshold=0.5, name="iou")],
)
hist = model.fit(
    train_ds(),
    validation_data=val_ds,
    epochs=EPOCHS,
    verbose=2,
    callbacks=[keras.callbacks.TensorBoard(os.path.join(LOGDIR, "fit"))],
)

# ------------------------------------------------------------------ 2. own loop
net = unet()
opt = keras.optimizers.Adam(LR)
EPS = 1e-7


def seg_loss(mask, prob):
    p = tf.clip_by_value(prob, EPS, 1.0 - EPS)
    ce = -(mask * tf.math.log(p) + (1.0 - mask) * tf.math.log(1.0 - p))
    overlap = tf.einsum("bhwc,bhwc->b", mask, prob)
    size = tf.reduce_sum(mask + prob, axis=[1, 2, 3])
    dice = (2.0 * overlap + 1.0) / (size + 1.0)
    # all pictures have the same number of pixels so the plain mean is fine for the ce part
    return tf.reduce_mean(ce) + tf.reduce_mean(1.0 - dice)


def counts(mask, prob):
    hit = tf.cast(prob > 0.5, tf.float32)
    inter = tf.reduce_sum(hit * mask)
    return inter, tf.reduce_sum(hit) + tf.reduce_sum(mask) - inter


@tf.function
def train_step(x, m):
    with tf.GradientTape() as tape:
        prob = net(x, training=True)
        loss = seg_loss(m, prob)
    grads = tape.gradient(loss, net.trainable_variables)
    opt.apply_gradients(zip(grads, net.trainable_variables))
    return (loss, *counts(m, prob))


@tf.function
def test_step(x, m):
    prob = net(x, training=False)
    return (seg_loss(m, prob), *counts(m, prob))


def run(ds, step):
    loss_sum = inter = union = 0.0
    n = 0
    for x, m in ds:
        loss, i, u = step(x, m)
        loss_sum += float(loss) * len(x)
        inter += float(i)
        union += float(u)
        n += len(x)
    return loss_sum / n, inter / (union + EPS)


writers = {k: tf.summary.create_file_writer(os.path.join(LOGDIR, "loop", k)) for k in ("train", "validation")}
loader = train_ds()
for epoch in range(EPOCHS):
    t0 = time.time()
    tr = run(loader, train_step)
    va = run(val_ds, test_step)
    for name, (l, iou) in (("train", tr), ("validation", va)):
        with writers[name].as_default(step=epoch):
            tf.summary.scalar("epoch_loss", l)
            tf.summary.scalar("epoch_iou", iou)
    print(f"Epoch {epoch + 1}/{EPOCHS} - {time.time() - t0:.0f}s - iou: {tr[1]:.4f} - loss: {tr[0]:.4f}"
          f" - val_iou: {va[1]:.4f} - val_loss: {va[0]:.4f}")

print("final val iou   fit %.4f   loop %.4f" % (hist.history["val_iou"][-1], va[1]))
