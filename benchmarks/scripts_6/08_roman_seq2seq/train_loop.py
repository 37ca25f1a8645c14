import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time

import keras
import tensorflow as tf

from model import WarmupSchedule, build_seq2seq
from vocab import SRC_LEN, TGT_LEN, corpus

BATCH_SIZE = 64
EPOCHS = 5

(src, dec_in, dec_out), val = corpus()
BUFFER_SIZE = len(src)
dataset = tf.data.Dataset.from_tensor_slices((src, dec_in, dec_out)).shuffle(BUFFER_SIZE).batch(BATCH_SIZE)
val_dataset = tf.data.Dataset.from_tensor_slices(val).batch(BATCH_SIZE)

seq2seq = build_seq2seq()
optimizer = keras.optimizers.Adam(WarmupSchedule(), beta_1=0.9, beta_2=0.98, epsilon=1e-9)
loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


def loss_function(real, pred):
    mask = tf.math.logical_not(tf.math.equal(real, 0))
    loss_ = loss_object(real, pred)

    mask = tf.cast(mask, dtype=loss_.dtype)
    loss_ *= mask

    return tf.reduce_mean(loss_)


def accuracy_function(real, pred):
    accuracies = tf.equal(real, tf.argmax(pred, axis=2, output_type=tf.int32))
    mask = tf.math.logical_not(tf.math.equal(real, 0))
    accuracies = tf.math.logical_and(mask, accuracies)
    return tf.reduce_sum(tf.cast(accuracies, tf.float32)) / tf.reduce_sum(tf.cast(mask, tf.float32))


train_step_signature = [
    tf.TensorSpec(shape=(None, SRC_LEN), dtype=tf.int32),
    tf.TensorSpec(shape=(None, TGT_LEN), dtype=tf.int32),
    tf.TensorSpec(shape=(None, TGT_LEN), dtype=tf.int32),
]


@tf.function(input_signature=train_step_signature)
def train_step(inp, tar_inp, tar_real):
    with tf.GradientTape() as tape:
        predictions = seq2seq([inp, tar_inp], training=True)
        loss = loss_function(tar_real, predictions)

    gradients = tape.gradient(loss, seq2seq.trainable_variables)
    optimizer.apply_gradients(zip(gradients, seq2seq.trainable_variables))

    train_loss(loss)
    train_accuracy(accuracy_function(tar_real, predictions))


train_loss = keras.metrics.Mean(name="train_loss")
train_accuracy = keras.metrics.Mean(name="train_accuracy")

for epoch in range(EPOCHS):
    start = time.time()
    train_loss.reset_state()
    train_accuracy.reset_state()

    for batch, (inp, tar_inp, tar_real) in enumerate(dataset):
        train_step(inp, tar_inp, tar_real)

    print(f"Epoch {epoch + 1} Loss {train_loss.result():.4f} Accuracy {train_accuracy.result():.4f}")
    print(f"Time taken for 1 epoch: {time.time() - start:.2f} secs\n")

val_accuracy = keras.metrics.Mean(name="val_accuracy")
for inp, tar_inp, tar_real in val_dataset:
    val_accuracy(accuracy_function(tar_real, seq2seq([inp, tar_inp], training=False)))
print(f"Validation accuracy {val_accuracy.result():.4f}")
