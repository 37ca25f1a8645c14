"""Baseline with model.fit."""
import math

import keras
import tensorflow as tf

import bikes

train, val = bikes.split(bikes.load_hours())
x, y = bikes.features(train)
x_val, y_val = bikes.features(val)
print("train", x.shape, "val", x_val.shape)

steps = math.ceil(len(x) / bikes.BATCH)
schedule = bikes.WarmupCosine(bikes.PEAK_LR, bikes.WARMUP_EPOCHS * steps, bikes.EPOCHS * steps)

model = bikes.build()
model.compile(
    optimizer=keras.optimizers.Adam(schedule),
    loss=keras.losses.Huber(delta=0.5),
    metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
)
train_ds = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=5).batch(bikes.BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(256)
history = model.fit(train_ds, validation_data=val_ds, epochs=bikes.EPOCHS, verbose=0)

for e in range(bikes.EPOCHS):
    print(f"epoch {e + 1:2d} | " + " | ".join(f"{k} {v[e]:.4f}" for k, v in history.history.items()))
