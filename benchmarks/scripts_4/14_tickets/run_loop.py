"""Routing of support tickets, loop version.

Written so that the step can later be wrapped in strategy.run on the two-GPU
box; on one device the strategy is simply absent.
"""
from common import BATCH, EPOCHS, LR, data, network, report

import keras
import numpy as np
import tensorflow as tf

(x_train, y_train), (x_val, y_val), _ = data()
VAL_STEPS = len(x_val) // BATCH

train_ds = (tf.data.Dataset.from_tensor_slices((x_train, y_train))
            .shuffle(len(x_train), reshuffle_each_iteration=True)
            .batch(BATCH)
            .prefetch(tf.data.AUTOTUNE))
val_ds = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(BATCH).repeat()

model = network()
optimizer = keras.optimizers.Adam(LR)
per_example = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)


def compute_loss(labels, logits):
    return tf.nn.compute_average_loss(per_example(labels, logits), global_batch_size=BATCH)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = compute_loss(y, model(x, training=True))
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    return loss


@tf.function
def val_step(x, y):
    return per_example(y, model(x, training=False))


def validate():
    losses = []
    for x, y in val_ds.take(VAL_STEPS):
        losses.append(val_step(x, y))
    return float(np.mean(np.concatenate(losses)))


def main():
    best, best_weights, best_epoch = float("inf"), None, None
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for x, y in train_ds:
            total += float(train_step(x, y)) * BATCH
        val = validate()
        print(f"epoch {epoch:2d}  train {total / len(x_train):.4f}  val {val:.4f}")
        if val < best:
            best, best_epoch = val, epoch
            best_weights = model.get_weights()
    model.set_weights(best_weights)
    print("kept epoch", best_epoch)
    report("loop", model)
    return model


if __name__ == "__main__":
    main()
