"""Simulating a four times larger batch. The optimizer under fit accumulates with
gradient_accumulation_steps and averages; the hand-made accumulator adds the gradients of
four micro batches and applies the SUM. ("Isn't the big batch's gradient the sum of the
small ones'? - No, their mean", the short dialogue in the report.)
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "gradient_accumulation"
SOURCE = "https://github.com/bojone/bert4keras/issues/238"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first update, at the fourth batch"

ACCUM = 4


def build_model():
    keras.utils.set_random_seed(88)
    tokens = keras.Input((20,), dtype="int32")
    e = keras.layers.Embedding(50, 16)(tokens)
    # one small self-attention block
    a = keras.layers.MultiHeadAttention(2, 8)(e, e)
    e = keras.layers.LayerNormalization()(e + a)
    pooled = keras.layers.GlobalAveragePooling1D()(e)
    return keras.Model(tokens, keras.layers.Dense(2, name="cls")(pooled))


def make_dataset(split):
    rng = np.random.default_rng(21 if split == "train" else 22)
    n = 384 if split == "train" else 64
    x = rng.integers(2, 50, (n, 20)).astype("int32")
    y = (np.sum(x < 14, axis=1) > 5).astype("int32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(12)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=ACCUM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model, model.fit(ds, epochs=epochs, verbose=0).history


class Accumulator:
    def __init__(self, variables):
        self.slots = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in variables]
        self.count = 0

    def add(self, grads):
        for s, g in zip(self.slots, grads):
            s.assign_add(tf.convert_to_tensor(g))
        self.count += 1

    def flush(self, optimizer, variables):
        optimizer.apply_gradients(zip([s.value() for s in self.slots], variables))
        for s in self.slots:
            s.assign(tf.zeros_like(s))
        self.count = 0


def custom_loop(model, ds, epochs):
    opt = keras.optimizers.SGD(0.1, momentum=0.9)
    xent = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = model.trainable_variables
    acc = Accumulator(variables)

    @tf.function
    def compute(x, y):
        with tf.GradientTape() as tape:
            loss = xent(y, model(x, training=True))
        return loss, [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

    log = {"loss": []}
    for epoch in range(epochs):
        losses, sizes = [], []
        for x, y in ds:
            loss, grads = compute(x, y)
            acc.add(grads)
            if acc.count == ACCUM:
                acc.flush(opt, variables)
            losses.append(float(loss))
            sizes.append(len(y))
        log["loss"].append(float(np.average(losses, weights=sizes)))
        print(f"epoch {epoch} - loss {log['loss'][-1]:.4f}")
    return model, log
