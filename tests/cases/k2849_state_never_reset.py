"""Machine states from a log that is cut into pieces, so the RNN has to remember. My version starts every epoch with an
empty memory, and I thought that stateful=True and shuffle=False do the same in fit. First epoch equal, then not.
"""

import keras
import numpy as np
import tensorflow as tf

MACHINES, PIECE, STATES = 5, 4, 3


def build_model():
    keras.utils.set_random_seed(2849)
    model = keras.Sequential()
    model.add(keras.Input(batch_shape=(MACHINES, PIECE, 2)))
    model.add(keras.layers.SimpleRNN(9, stateful=True))
    model.add(keras.layers.Dense(STATES))
    return model


def make_dataset(split):
    rng = np.random.default_rng(28 if split == "train" else 49)
    pieces = 10 if split == "train" else 4
    load = rng.normal(size=(MACHINES, pieces * PIECE, 2)).astype("float32")
    wear = np.abs(load).sum(axis=2).cumsum(axis=1)  # grows over the whole log
    state = np.digitize(wear / wear.max(axis=1, keepdims=True), [0.3, 0.7])
    # the n-th rows of all batches are one machine
    x = np.concatenate(np.split(load, pieces, axis=1))
    y = np.concatenate(np.split(state, pieces, axis=1))[:, -1]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(MACHINES, drop_remainder=True)


def keras_fit(model, ds, epochs):
    batches = list(ds.as_numpy_iterator())
    x, y = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model.fit(x, y, batch_size=MACHINES, epochs=epochs, shuffle=False, verbose=0)


def custom_loop(model, ds, epochs):
    sgd = keras.optimizers.SGD(0.1, momentum=0.5)

    @tf.function
    def update(pieces, states):
        with tf.GradientTape() as tape:
            logits = model(pieces, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=states, logits=logits)
            )
        sgd.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    rnn, mean_losses = model.layers[0], []
    for _ in range(epochs):
        rnn.reset_state()
        total, count = 0.0, 0
        for pieces, states in ds:
            total, count = total + update(pieces, states).numpy(), count + 1
        mean_losses.append(total / count)
    return {"loss": mean_losses}
