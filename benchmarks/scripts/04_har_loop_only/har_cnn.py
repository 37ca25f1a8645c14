# -*- coding: utf-8 -*-
"""Activity recognition from accelerometer windows (sit / walk / run), small 1D CNN.

My network overfits although I have a lot of dropout in it, and the test accuracy
jumps around. Is the model too big?
"""
import os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '2'

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers, Model
from tqdm import tqdm

WINDOW = 64
N = 1500
CLASSES = ['sit', 'walk', 'run']
BATCH = 64
EPOCHS = 4
LR = 1e-3


def fake_window(label):
    t = np.arange(WINDOW) / 20.0
    freq = {0: 0.2, 1: 1.7, 2: 2.9}[label] + np.random.randn() * 0.25
    amp = {0: 0.15, 1: 0.7, 2: 1.2}[label] * np.random.uniform(0.4, 1.6)
    phase = np.random.rand(3) * 2 * np.pi
    sig = np.stack([amp * np.sin(2 * np.pi * freq * t + p) for p in phase], axis=-1)
    return sig + np.random.randn(WINDOW, 3) * 0.6 + np.array([0, 0, 9.81])


labels = np.random.randint(0, 3, N)
signals = np.array([fake_window(l) for l in labels], dtype=np.float32)

mean, std = signals[:1200].mean(axis=(0, 1)), signals[:1200].std(axis=(0, 1))
signals = (signals - mean) / std

x_train, y_train = signals[:1200], labels[:1200]
x_test, y_test = signals[1200:], labels[1200:]

ds_train = (tf.data.Dataset.from_tensor_slices((x_train, y_train))
            .shuffle(1200)
            .batch(BATCH)
            .prefetch(tf.data.AUTOTUNE))
ds_test = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch(BATCH)


class HARNet(Model):
    def __init__(self, n_classes):
        super().__init__()
        self.c1 = layers.Conv1D(32, 5, padding='same')
        self.bn1 = layers.BatchNormalization()
        self.pool1 = layers.MaxPool1D(2)
        self.c2 = layers.Conv1D(64, 5, padding='same')
        self.bn2 = layers.BatchNormalization()
        self.gap = layers.GlobalAveragePooling1D()
        self.drop = layers.Dropout(0.5)
        self.fc1 = layers.Dense(64, activation='relu')
        self.drop2 = layers.Dropout(0.5)
        self.fc2 = layers.Dense(n_classes)

    def call(self, inputs, training=None):
        x = tf.nn.relu(self.bn1(self.c1(inputs), training=training))
        x = self.pool1(x)
        x = tf.nn.relu(self.bn2(self.c2(x), training=training))
        x = self.gap(x)
        x = self.drop(x, training=training)
        x = self.fc1(x)
        x = self.drop2(x, training=training)
        return self.fc2(x)


net = HARNet(len(CLASSES))
net(x_train[:1])
net.summary()

opt = tf.keras.optimizers.Adam(LR)
criterion = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
acc = tf.keras.metrics.SparseCategoricalAccuracy()


@tf.function
def train_one_batch(x, y):
    with tf.GradientTape() as tape:
        logits = net(x)
        loss = criterion(y, logits)
    grads = tape.gradient(loss, net.trainable_weights)
    opt.apply_gradients(zip(grads, net.trainable_weights))
    acc.update_state(y, logits)
    return loss


for epoch in range(1, EPOCHS + 1):
    acc.reset_state()
    total, seen = 0.0, 0
    for xb, yb in tqdm(ds_train, desc='epoch %d' % epoch):
        l = train_one_batch(xb, yb)
        total += float(l) * len(yb)
        seen += len(yb)
    tr_acc = acc.result().numpy()

    acc.reset_state()
    for xb, yb in ds_test:
        acc.update_state(yb, net(xb))
    print('epoch %d  loss %.4f  acc %.4f  test acc %.4f' % (
        epoch, total / seen, tr_acc, acc.result().numpy()))

pred = np.argmax(net.predict(x_test, verbose=0), axis=-1)
conf = tf.math.confusion_matrix(y_test, pred).numpy()
print(conf)
