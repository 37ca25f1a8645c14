# -*- coding: utf-8 -*-
"""
From an issue "Adam/Adagrad gives different derivatives when initializing globally and
locally": somebody's train() builds its optimizer inside the function that is called once
per batch, so the Adagrad accumulators begin at their initial value in every step.
"""
import numpy as np
import tensorflow as tf
import keras
from keras import layers

CAUSE = "optimizer_state_reset"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/29675"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "update of the second step"

LR = 0.05


def build_model():
    keras.utils.set_random_seed(2024)
    inp = keras.Input((6,))
    h = layers.Dense(24, activation='tanh')(inp)
    h = layers.Dense(24, activation='tanh')(h)
    return keras.Model(inp, layers.Dense(1)(h))


def make_dataset(split):
    rs = np.random.RandomState(10 if split == 'train' else 20)
    N = 700 if split == 'train' else 140
    X = rs.uniform(-2, 2, size=(N, 6)).astype('float32')
    Y = (np.sin(X[:, 0]) * X[:, 1] + 0.5 * X[:, 2] + 0.1 * rs.randn(N)).astype('float32')
    return tf.data.Dataset.from_tensor_slices((X, Y.reshape(-1, 1))).batch(28)


def loss(predicted_y, target_y):
    return tf.reduce_mean(tf.square(predicted_y - target_y))


def keras_fit(model, ds, epochs):
    opt = keras.optimizers.Adagrad(learning_rate=LR, initial_accumulator_value=0.1, epsilon=1e-07)
    model.compile(opt, loss='mse')
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, {'loss': h.history['loss']}


def train(model, inputs, outputs, learning_rate):
    with tf.GradientTape() as t:
        current_loss = loss(model(inputs, training=True), outputs)
    optimizer = keras.optimizers.Adagrad(
        learning_rate=learning_rate,
        initial_accumulator_value=0.1,
        epsilon=1e-07,
    )
    variables = model.trainable_variables
    gradients = t.gradient(current_loss, variables)
    optimizer.apply_gradients(zip(gradients, variables))
    return float(current_loss)


def custom_loop(model, ds, epochs):
    losses = []
    for epoch in range(epochs):
        total, seen = 0.0, 0
        for xb, yb in ds:
            total += train(model, xb, yb, LR) * len(xb)
            seen += len(xb)
        losses.append(total / seen)
        print('Epoch %2d: loss=%2.5f' % (epoch, losses[-1]))
    return model, {'loss': losses}
