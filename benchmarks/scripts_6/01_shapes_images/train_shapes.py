"""Shape classifier (circle / square / triangle) on 32x32 PNG files.

First with compile/fit, then the same network in a custom training loop,
to be able to plug in other losses later.
"""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import random
import time
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers
from PIL import Image, ImageDraw

DATA_DIR = Path(__file__).resolve().parent / "shapes_png"
CLASSES = ["circle", "square", "triangle"]
PER_CLASS = 100
IMG_SIZE = (32, 32)
BATCH_SIZE = 20
EPOCHS = 4


def draw_images():
    rnd = random.Random(7)
    for label in CLASSES:
        folder = DATA_DIR / label
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(PER_CLASS):
            path = folder / f"{label}_{i:03d}.png"
            if path.exists():
                continue
            bg = tuple(rnd.randint(0, 110) for _ in range(3))
            fg = tuple(rnd.randint(110, 255) for _ in range(3))
            img = Image.new("RGB", IMG_SIZE, bg)
            d = ImageDraw.Draw(img)
            cx, cy, r = rnd.randint(11, 20), rnd.randint(11, 20), rnd.randint(6, 10)
            if label == "circle":
                d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fg)
            elif label == "square":
                d.rectangle([cx - r, cy - r, cx + r, cy + r], fill=fg)
            else:
                d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fg)
            img.save(path)


def load(subset):
    return keras.utils.image_dataset_from_directory(
        DATA_DIR,
        validation_split=0.2,
        subset=subset,
        seed=123,
        image_size=IMG_SIZE,
        batch_size=BATCH_SIZE,
    )


def make_model(head_activation):
    inputs = keras.Input(shape=IMG_SIZE + (3,))
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(32, activation="relu")(x)
    outputs = layers.Dense(len(CLASSES), activation=head_activation)(x)
    return keras.Model(inputs, outputs)


class EpochTimer(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.t0 = time.time()

    def on_epoch_end(self, epoch, logs=None):
        print(f"   epoch {epoch + 1} took {time.time() - self.t0:.2f}s")


draw_images()
train_ds = load("training").prefetch(tf.data.AUTOTUNE)
val_ds = load("validation").prefetch(tf.data.AUTOTUNE)

# ---------------------------------------------------------------- model.fit
model = make_model("softmax")
net = make_model(None)
net.set_weights(model.get_weights())

model.compile(
    optimizer="adam",
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(
    train_ds, validation_data=val_ds, epochs=EPOCHS, verbose=2, callbacks=[EpochTimer()]
)

# ------------------------------------------------------------- custom loop
opt = keras.optimizers.Adam(learning_rate=0.001)
xent = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_batch(images, labels):
    with tf.GradientTape() as tape:
        logits = net(images, training=True)
        loss = xent(labels, logits)
    grads = tape.gradient(loss, net.trainable_weights)
    opt.apply_gradients(zip(grads, net.trainable_weights))
    hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, output_type=tf.int32) == labels, tf.float32))
    return loss, hits


@tf.function
def val_batch(images, labels):
    logits = net(images, training=False)
    hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, output_type=tf.int32) == labels, tf.float32))
    return xent(labels, logits), hits


def run_epoch(ds, fn):
    total, correct, seen = 0.0, 0.0, 0
    for images, labels in ds:
        n = int(labels.shape[0])
        loss, hits = fn(images, labels)
        total += float(loss) * n
        correct += float(hits)
        seen += n
    return total / seen, correct / seen


for epoch in range(EPOCHS):
    tr_loss, tr_acc = run_epoch(train_ds, train_batch)
    va_loss, va_acc = run_epoch(val_ds, val_batch)
    print(
        f"[{epoch + 1}/{EPOCHS}] loss {tr_loss:.4f} acc {tr_acc:.4f} "
        f"val_loss {va_loss:.4f} val_acc {va_acc:.4f}"
    )

print("fit  :", {k: round(v[-1], 4) for k, v in history.history.items()})
