#!/usr/bin/env python
"""Sentiment of short product reviews, averaged word vectors.

I wanted to understand what an optimizer really does, so after the usual
compile/fit I do everything myself with assign(), including Nesterov momentum.
"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import keras
from keras import layers
from keras.constraints import MaxNorm

BATCH_SIZE = 24
EPOCHS = 12
LR = 0.25
MOMENTUM = 0.9
MAXLEN = 12

good = ["great", "love", "solid", "perfect", "fast", "recommend", "quiet", "sturdy"]
bad = ["broke", "refund", "cheap", "slow", "noisy", "never", "terrible", "leaks"]
neutral = ("it this the for my kitchen was and kettle after weeks box arrived bought "
           "gift use handle lid works still very").split()


def make_reviews(n, seed):
    rs = np.random.RandomState(seed)
    texts, labels = [], []
    for _ in range(n):
        lab = rs.randint(2)
        words = list(rs.choice(neutral, rs.randint(3, 8)))
        pool = good if lab else bad
        for _ in range(rs.randint(1, 4)):
            words.insert(rs.randint(len(words) + 1), rs.choice(pool))
        if rs.rand() < 0.15:
            words.append(rs.choice(bad if lab else good))
        texts.append(" ".join(words))
        labels.append(lab)
    return texts, np.array(labels, dtype="float32")


texts, labels = make_reviews(360, 0)
texts_te, labels_te = make_reviews(200, 1)

vec = layers.TextVectorization(output_sequence_length=MAXLEN, standardize="lower")
vec.adapt(texts)
ids = vec(texts).numpy()
ids_te = vec(texts_te).numpy()


def build(vocab):
    words = keras.Input((MAXLEN,), dtype="int64")
    e = layers.Embedding(vocab, 16, mask_zero=True)(words)
    e = layers.GlobalAveragePooling1D()(e)
    e = layers.Dense(16, activation="relu", kernel_constraint=MaxNorm(2.0, axis=0))(e)
    p = layers.Dense(1, kernel_constraint=MaxNorm(3.0, axis=0))(e)
    return keras.Model(words, p)


keras.utils.set_random_seed(12)
model = build(vec.vocabulary_size())
mine = build(vec.vocabulary_size())
mine.set_weights(model.get_weights())


def rate(epoch):
    """halve the rate for the last third"""
    return LR if epoch < 8 else LR / 2


# ---------- the usual way
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=LR, momentum=MOMENTUM, nesterov=True),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
model.fit(ids, labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0,
          callbacks=[keras.callbacks.LearningRateScheduler(rate)])

# ---------- my way
velocity = [tf.Variable(tf.zeros(v.shape)) for v in mine.trainable_variables]


@tf.function
def my_step(x, y, lr):
    with tf.GradientTape() as tape:
        logit = tf.squeeze(mine(x, training=True), axis=1)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logit))
    grads = tape.gradient(loss, mine.trainable_variables)
    for var, g, vel in zip(mine.trainable_variables, grads, velocity):
        g = tf.convert_to_tensor(g)
        vel.assign(MOMENTUM * vel - lr * g)
        var.assign(var + MOMENTUM * vel - lr * g)
    return loss


rng = np.random.default_rng(2)
for epoch in range(EPOCHS):
    order = rng.permutation(len(ids))
    lr = tf.constant(rate(epoch))
    running = []
    for start in range(0, len(order), BATCH_SIZE):
        pick = order[start:start + BATCH_SIZE]
        running.append(my_step(tf.gather(ids, pick), tf.gather(labels, pick), lr))
    if epoch % 3 == 2:
        print("epoch", epoch + 1, "loss", float(np.mean(running)))


def report(name, m):
    s = m.predict(ids_te, verbose=0)[:, 0]
    print(f"{name:8s} acc {((s > 0) == (labels_te > 0.5)).mean():.3f}   mean |score| {np.abs(s).mean():.2f}")


report("keras", model)
report("mine", mine)
