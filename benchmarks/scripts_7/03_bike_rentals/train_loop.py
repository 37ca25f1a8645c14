"""The same net, trained by hand. Needed for the quantile version later on."""
import math
import time

import keras
import tensorflow as tf

import bikes

df = bikes.load_hours()
df = df.sort_values("dteday").reset_index(drop=True)
steps_per_epoch = math.ceil(len(df) / bikes.BATCH)

train_part, val_part = bikes.split(df)
train_ds = (
    tf.data.Dataset.from_tensor_slices(bikes.features(train_part))
    .shuffle(len(train_part), seed=5)
    .batch(bikes.BATCH)
    .prefetch(tf.data.AUTOTUNE)
)
val_ds = tf.data.Dataset.from_tensor_slices(bikes.features(val_part)).batch(256)

net = bikes.build()
lr = bikes.WarmupCosine(
    peak=bikes.PEAK_LR,
    warmup=bikes.WARMUP_EPOCHS * steps_per_epoch,
    total=bikes.EPOCHS * steps_per_epoch,
)
optimizer = keras.optimizers.Adam(learning_rate=lr)
huber = keras.losses.Huber(delta=0.5)

loss_avg = keras.metrics.Mean()
mae = keras.metrics.MeanAbsoluteError()


@tf.function
def train_one(x, y):
    with tf.GradientTape() as tape:
        out = net(x, training=True)
        loss = huber(y, out)
    variables = net.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    loss_avg.update_state(loss, sample_weight=tf.shape(x)[0])
    mae.update_state(y, out)


@tf.function
def eval_one(x, y):
    out = net(x, training=False)
    loss_avg.update_state(huber(y, out), sample_weight=tf.shape(x)[0])
    mae.update_state(y, out)


def read_and_clear():
    values = float(loss_avg.result()), float(mae.result())
    loss_avg.reset_state()
    mae.reset_state()
    return values


start = time.perf_counter()
for epoch in range(1, bikes.EPOCHS + 1):
    for x, y in train_ds:
        train_one(x, y)
    train_loss, train_mae = read_and_clear()
    for x, y in val_ds:
        eval_one(x, y)
    val_loss, val_mae = read_and_clear()
    print(f"epoch {epoch:2d} | loss {train_loss:.4f} | mae {train_mae:.4f} | "
          f"val_loss {val_loss:.4f} | val_mae {val_mae:.4f}")
print(f"{time.perf_counter() - start:.1f}s")
