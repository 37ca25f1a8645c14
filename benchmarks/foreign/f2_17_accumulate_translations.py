"""Report: a discussion in a gradient accumulation package whether the collected gradients must be
summed or averaged. The loop here keeps its own accumulators, divides by the number of
collected batches and goes on over the end of an epoch; fit uses the optimizer's setting.
Small sequence-to-sequence net with padded targets weighted by zero. Both sides agree.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "none"
SOURCE = "https://github.com/andreped/GradientAccumulator/issues/132"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"

SRC, TGT = 20, 20
LEN = 8
EVERY = 3


def make_dataset(split):
    rng = np.random.default_rng(100 if split == "train" else 101)
    n = 416 if split == "train" else 64
    src = rng.integers(2, SRC, (n, LEN))
    tgt = (src[:, ::-1] + 3) % TGT          # reversed and shifted alphabet
    length = rng.integers(3, LEN + 1, n)
    weight = (np.arange(LEN)[None] < length[:, None]).astype("float32")
    dec_in = np.concatenate([np.ones((n, 1), int), tgt[:, :-1]], axis=1)
    x = {"src": src.astype("int32"), "dec_in": dec_in.astype("int32")}
    return tf.data.Dataset.from_tensor_slices((x, tgt.astype("int32"), weight)).batch(16)


def build_model():
    keras.utils.set_random_seed(55)
    src = keras.Input((LEN,), dtype="int32", name="src")
    dec_in = keras.Input((LEN,), dtype="int32", name="dec_in")
    e = keras.layers.Embedding(SRC, 12)(src)
    _, state = keras.layers.GRU(20, return_state=True)(e)
    d = keras.layers.Embedding(TGT, 12)(dec_in)
    d = keras.layers.GRU(20, return_sequences=True)(d, initial_state=state)
    return keras.Model({"src": src, "dec_in": dec_in}, keras.layers.Dense(TGT)(d))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(8e-3, gradient_accumulation_steps=EVERY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    hist = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": hist.history["loss"]}


class Accumulator:
    def __init__(self, model, optimizer, every):
        self.model, self.optimizer, self.every = model, optimizer, every
        self.sums = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in model.trainable_variables]
        self.count = 0

    @tf.function
    def collect(self, x, y, w):
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            loss = tf.reduce_sum(ce * w) / tf.cast(tf.size(ce), tf.float32)
        for s, g in zip(self.sums, tape.gradient(loss, self.model.trainable_variables)):
            s.assign_add(tf.convert_to_tensor(g))
        return loss

    @tf.function
    def flush(self):
        mean = [s / float(self.every) for s in self.sums]
        self.optimizer.apply_gradients(zip(mean, self.model.trainable_variables))
        for s in self.sums:
            s.assign(tf.zeros_like(s))

    def __call__(self, x, y, w):
        loss = self.collect(x, y, w)
        self.count += 1
        if self.count % self.every == 0:
            self.flush()
        return float(loss)


def custom_loop(model, ds, epochs):
    step = Accumulator(model, keras.optimizers.Adam(8e-3), EVERY)
    losses = []
    for _ in range(epochs):
        rows, total = 0, 0.0
        for x, y, w in ds:
            total += step(x, y, w) * len(y)
            rows += len(y)
        losses.append(total / rows)
    return model, {"loss": losses}
